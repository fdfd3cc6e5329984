"""Scores become a ranking: best first, equal scores in the order of ids."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping

__all__ = ["best", "ranked"]

_PAGE = 256


def best(scores: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    """Return (id, score) of the k best."""
    return heapq.nsmallest(max(0, k), scores.items(), key=lambda item: (-item[1], item[0]))


def ranked(
    scores: Mapping[int, float], names: Callable[[list[int]], Mapping[int, str]], *, first: int = _PAGE
) -> Iterator[tuple[str, float]]:
    """Yield all (id, score), best first; the ids of rows are looked up only as far as the caller reads.

    Args:
        scores: the score by row.
        names: returns the ids of rows; a row that is gone by then may be missing.
        first: how many rows are looked up at first.
    """
    heap = [(-score, row) for row, score in scores.items()]
    heapq.heapify(heap)
    wanted = max(1, first)
    while heap:
        rows: list[int] = []
        last = 0.0
        while heap and (
            len(rows) < wanted or heap[0][0] == last
        ):  # rows of equal score are sorted by id, so they must be in one page
            last, row = heapq.heappop(heap)
            rows.append(row)
        ids = names(rows)
        yield from sorted(((ids[row], scores[row]) for row in rows if row in ids), key=lambda i: (-i[1], i[0]))
        wanted = _PAGE
