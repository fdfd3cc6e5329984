"""Ties at the cut are fetched within a budget."""

from __future__ import annotations

import numpy as np
import pytest

from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.points import Block
from dizuo.vectors.protocol.store import SearchResult


@pytest.mark.parametrize(("ties", "k"), [(1, 1), (3, 1), (7, 5), (90, 5), (200, 3)])
def test_ties_beyond_the_cut_are_fetched_within_the_budget(ties: int, k: int) -> None:
    scores = np.array([2.0, *[1.0] * ties, *[0.0] * 50])
    asked: list[int] = []

    def ask(n: int) -> SearchResult:
        asked.append(n)
        return SearchResult(Block([str(i) for i in range(len(scores))][:n]), scores[:n], "exact", min(n, len(scores)))

    found = include_ties(ask, k, most=len(scores))
    assert len(found.scores) == len(scores) or found.scores[-1] < found.scores[k - 1]
    with_budget = include_ties(ask, k, most=len(scores), budget=10 * k)
    assert with_budget.fetched <= 10 * k
    assert len(with_budget.scores) >= k
