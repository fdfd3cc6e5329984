"""Exact search over a stream of rows, for databases that cannot compare all vectors themselves.

A store comes here only for what its database cannot do: an exact search where it has only an approximate index, and
filters that its language does not reach. Memory holds k rows per query and one block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.filters.matching import matcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.store import Columns, SearchResult
from dizuo.vectors.scores import Metric, pairwise, top_k

__all__ = ["filter_blocks", "find_nearest", "scan_namespaces"]


def filter_blocks(blocks: Iterable[Block], where: Filter | None) -> Iterator[Block]:
    """Yield the rows that match the filter, of blocks with metadata."""
    if where is None:
        yield from blocks
        return
    matches = matcher(where)
    for block in blocks:
        kept = [row for row, metadata in enumerate(block.metadata) if matches(metadata)]
        if kept:
            yield block if len(kept) == len(block) else block.take(kept)


def scan_namespaces(
    namespace: str | None, names: Callable[[], Iterable[str]], rows: Callable[[str], Iterator[Block]]
) -> Iterator[Block]:
    """Yield the rows of one namespace, or of all; then the blocks have the column `namespaces`.

    Args:
        namespace: its name, or None for all.
        names: returns the names of all namespaces.
        rows: yields the rows of one namespace.
    """
    if namespace is not None:
        yield from rows(namespace)
        return
    for name in names():
        for block in rows(name):
            yield block.in_namespaces([name] * len(block))


@dataclass(slots=True)
class _Nearest:
    ids: list[str] = field(default_factory=list)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    rows: list[tuple[Any, ...]] = field(default_factory=list)


def find_nearest(
    blocks: Iterable[Block], queries: Floats, *, k: int, metric: Metric, columns: Columns, where: Filter | None = None
) -> list[SearchResult]:
    """Return the k nearest rows of the stream for each query [q, dim]; every vector is compared.

    Args:
        blocks: rows with vectors, and with the columns that `columns` and `where` need.
        queries: float32 [q, dim].
        k: rows per query.
        metric: of the scores.
        columns: which columns the results have.
        where: a filter to check here; then the blocks have metadata.
    """
    best = [_Nearest() for _ in queries]
    seen = [0]
    for block in filter_blocks(_count(blocks, seen), where):
        for query, top in zip(queries, best, strict=True):
            scores = pairwise(query, block.vectors, metric)
            chosen = top_k(scores, block.ids, k)
            ids = top.ids + [block.ids[index] for index in chosen]
            both = np.concatenate([top.scores, scores[chosen]])
            rows = top.rows + [_row(block, index, columns) for index in chosen]
            kept = top_k(both, ids, k)
            top.ids, top.scores = [ids[n] for n in kept], both[kept]
            top.rows = [rows[n] for n in kept]
    return [SearchResult(_block(top, columns, queries.shape[1]), top.scores, "exact", seen[0]) for top in best]


def _count(blocks: Iterable[Block], seen: list[int]) -> Iterator[Block]:
    for block in blocks:
        seen[0] += len(block)
        yield block


def _row(block: Block, index: int, columns: Columns) -> tuple[Any, ...]:
    return (
        block.vectors[index].copy() if "vectors" in columns else None,
        block.metadata_texts[index] if "metadata" in columns else None,
        block.documents[index] if "documents" in columns else None,
    )


def _block(top: _Nearest, columns: Columns, dim: int) -> Block:
    vectors: Floats = np.empty((len(top.rows), dim), np.float32)
    if "vectors" in columns:
        for index, row in enumerate(top.rows):
            vectors[index] = row[0]
    return Block(
        top.ids,
        vectors if "vectors" in columns else None,
        [row[1] for row in top.rows] if "metadata" in columns else None,
        [row[2] for row in top.rows] if "documents" in columns else None,
    )
