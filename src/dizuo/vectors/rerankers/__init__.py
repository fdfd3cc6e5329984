"""`Reranker`: a question and texts to scores, for a second, closer look at what a search found.

Any function `(query, texts) -> scores` is one. `open_reranker("cross_encoder:hf:cross-encoder/…")` loads a model from
`rerankers/`; a plugin is a module with `open_reranker(rest, *, watch, **options) -> Reranker`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from dizuo import plugins
from dizuo.errors import VectorError
from dizuo.events import Watcher, ignore

__all__ = ["RERANKERS", "Reranker", "open_reranker", "reranked"]

RERANKERS = "dizuo.vectors.rerankers"
Item = TypeVar("Item")


class Reranker(Protocol):
    """Higher is more relevant; scores of one query compare, those of two queries need not."""

    def __call__(self, query: str, texts: Sequence[str], /) -> Sequence[float]: ...


def open_reranker(address: str, *, watch: Watcher = ignore, **options: Any) -> Reranker:
    """Return the reranker at `PLUGIN:…`; an address without a plugin's name is a cross-encoder's.

    Raises:
        VectorError: it is not one that can be run.
        ArtifactError: the model cannot be fetched.
    """
    plugin, _, rest = address.partition(":")
    plugin = plugin.replace("-", "_")
    if plugin not in plugins.names(RERANKERS):
        plugin, rest = "cross_encoder", address
    reranker: Reranker = plugins.load(RERANKERS, plugin, noun="reranker").open_reranker(rest, watch=watch, **options)
    return reranker


def reranked(
    reranker: Reranker, query: str, items: Sequence[Item], texts: Sequence[str], k: int
) -> list[tuple[Item, float]]:
    """Return the k best items with the reranker's scores, best first; equal scores keep their order.

    Args:
        reranker: any function of (query, texts).
        query: the question.
        items: what was found.
        texts: one per item.
        k: how many to keep.

    Raises:
        VectorError: it returned another number of scores, or one that is not finite.
    """
    if not items:
        return []
    scores = [float(score) for score in reranker(query, list(texts))]
    if len(scores) != len(items):
        raise VectorError(f"the reranker returned {len(scores)} scores for {len(items)} texts")
    if not all(map(math.isfinite, scores)):
        raise VectorError("the reranker returned a score that is not finite")
    order = sorted(range(len(items)), key=lambda place: -scores[place])[: max(0, k)]
    return [(items[place], scores[place]) for place in order]
