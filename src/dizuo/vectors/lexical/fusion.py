"""Reciprocal rank fusion: two rankings become one, the same for every database.

    score(d) = Σ over the rankings that contain d of  1 / (60 + rank)

Cormack, Clarke & Büttcher, SIGIR 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
Methods"; 60 is theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dizuo.vectors.points import Part
from dizuo.vectors.protocol.store import SearchResult
from dizuo.vectors.scores import top_k

__all__ = ["RRF", "fuse", "rank_leg"]

RRF = 60
"""The constant of the paper: the larger it is, the less the first ranks count more than later ones."""


def rank_leg(result: SearchResult, depth: int) -> list[tuple[str, float]]:
    """Return (id, score) of the `depth` best rows of a result, best first, ties by id."""
    ids = result.rows.ids
    return [(ids[row], float(result.scores[row])) for row in top_k(result.scores, ids, depth)]


def fuse(
    rankings: Mapping[str, Sequence[tuple[str, float]]], k: int
) -> tuple[dict[str, float], dict[str, dict[str, Part]]]:
    """Return the k best ids with their fused scores, best first, ties by id; and their score and rank in each ranking.

    Args:
        rankings: rankings of (id, score) by name, best first.
        k: how many ids.
    """
    scores: dict[str, float] = {}
    parts: dict[str, dict[str, Part]] = {}
    for name, ranked in rankings.items():
        for rank, (id, score) in enumerate(ranked, start=1):
            scores[id] = scores.get(id, 0.0) + 1.0 / (RRF + rank)
            parts.setdefault(id, {})[name] = Part(score, rank)
    chosen = sorted(scores, key=lambda id: (-scores[id], id))[:k]
    return {id: scores[id] for id in chosen}, {id: parts[id] for id in chosen}
