"""What every reranker does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import pytest

from dizuo.errors import VectorError
from dizuo.events import ignore
from dizuo.vectors.rerankers import RERANKERS, Reranker, open_reranker, reorder

__all__ = ["RerankerSuite"]


class RerankerSuite:
    """Subclass it with the reranker's `name`, and with an `address` where the name alone opens none."""

    name: str
    """The name of its file, or of its entry point."""
    options: ClassVar[Mapping[str, object]] = {}
    """What `open_reranker` is given beside the address."""
    tolerance: float = 1e-3
    """How far two scores of one text may lie apart when it is read in another batch."""
    query: str = "which database is fast?"
    """What is asked."""
    texts: tuple[str, ...] = (
        "The database is fast", "", "数据库很快", "a", "The cat sleeps", "a\0b\n\t", "word " * 3000, "😀 🇩🇪 é",
    )  # fmt: skip
    """What is scored."""

    @pytest.fixture
    def address(self) -> str:
        """Return what a user gives to `open_reranker`."""
        return self.name

    @pytest.fixture
    def reranker(self, address: str) -> Reranker:
        """Return the reranker, opened as users open it."""
        return open_reranker(address, watch=ignore, **self.options)

    def test_it_is_found_by_its_name(self) -> None:
        assert self.name in RERANKERS.names()
        kind = RERANKERS.load(self.name)
        assert kind.name == self.name
        assert bool(kind.package) == bool(kind.extra), "who is told of a missing package is told how to install it"

    def test_every_text_has_a_score(self, reranker: Reranker) -> None:
        scores = reranker(self.query, self.texts)
        assert len(scores) == len(self.texts)
        assert all(math.isfinite(score) for score in scores)
        assert len(set(scores)) > 1, "it tells texts apart"

    def test_no_texts_have_no_scores(self, reranker: Reranker) -> None:
        assert list(reranker(self.query, [])) == []

    def test_a_texts_score_does_not_depend_on_the_others(self, reranker: Reranker) -> None:
        together = list(reranker(self.query, self.texts))
        assert list(reranker(self.query, self.texts[::-1]))[::-1] == pytest.approx(together, abs=self.tolerance)
        alone = [reranker(self.query, [text])[0] for text in self.texts]
        assert alone == pytest.approx(together, abs=self.tolerance)

    def test_odd_questions_are_answered(self, reranker: Reranker) -> None:
        for query in ("", "😀", "数据库", "a\0b"):
            assert len(reranker(query, ["The database is fast", ""])) == 2

    def test_what_a_search_found_is_put_in_the_order_of_its_scores(self, reranker: Reranker) -> None:
        best = reorder(reranker, self.query, self.texts, self.texts, 3)
        scores = sorted(reranker(self.query, self.texts), reverse=True)
        assert [score for _, score in best] == pytest.approx(scores[:3], abs=self.tolerance)

    def test_half_a_character_is_refused(self, reranker: Reranker) -> None:
        with pytest.raises(VectorError, match="half a character"):
            reranker(self.query, ["fine", "a\ud800"])
        with pytest.raises(VectorError, match="half a character"):
            reranker("a\ud800", ["fine"])

    def test_a_misspelt_option_is_refused(self, address: str) -> None:
        with pytest.raises(VectorError, match="has no option 'no_such_option'"):
            open_reranker(address, no_such_option=1)
