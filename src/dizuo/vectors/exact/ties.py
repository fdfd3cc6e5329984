"""Equal scores at the cut: the smaller ids win, also where a database orders by score alone."""

from __future__ import annotations

from collections.abc import Callable

from dizuo.vectors.protocol.store import SearchResult

__all__ = ["include_ties"]


def include_ties(ask: Callable[[int], SearchResult], k: int, *, most: int, budget: int | None = None) -> SearchResult:
    """Return at least k rows such that no row beyond them ties with the k-th, for databases that cannot order by id.

    Args:
        ask: returns the n nearest rows, best first.
        k: rows that are asked for.
        most: rows that one call may ask for; in exact mode the number of those that match.
        budget: rows that all calls together may fetch; 10·k outside exact mode. Ties beyond it stay as they came.
    """
    want, fetched = min(k + 1, most), 0
    while True:
        result = ask(want)
        fetched += result.fetched
        scores = result.scores
        more = min(4 * want, most if budget is None else min(most, budget - fetched))
        if len(scores) < want or len(scores) <= k or scores[k - 1] > scores[-1] or more <= want:
            return SearchResult(result.rows, scores, result.path, fetched)
        want = more
