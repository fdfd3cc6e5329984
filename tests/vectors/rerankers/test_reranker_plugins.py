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
