"""Every reranker of ours is held to the suite that a third party's is held to."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_rerankers import write_model

from dizuo.testing import RerankerSuite
from dizuo.vectors.rerankers import RERANKERS


class TestCrossEncoder(RerankerSuite):
    name = "cross_encoder"
    query = "a b"
    texts = ("a b c", "", "d " * 40, "e", "f g h a b", "数据库", "h\0g\n", "😀")

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        write_model(tmp_path)
        return f"cross_encoder:{tmp_path}"


def test_every_reranker_of_ours_runs_through_the_suite() -> None:
    held = {suite.name for suite in RerankerSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(RERANKERS.names())


def test_the_suite_finds_what_is_wrong_with_a_reranker() -> None:
    suite = RerankerSuite()
    with pytest.raises(AssertionError):
        suite.test_every_text_has_a_score(lambda query, texts: [1.0])
    with pytest.raises(AssertionError, match="tells texts apart"):
        suite.test_every_text_has_a_score(lambda query, texts: [1.0 for _ in texts])
    with pytest.raises(AssertionError):
        suite.test_a_texts_score_does_not_depend_on_the_others(
            lambda query, texts: [float(n) for n in range(len(texts))]
        )
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_half_a_character_is_refused(lambda query, texts: [1.0 for _ in texts])
