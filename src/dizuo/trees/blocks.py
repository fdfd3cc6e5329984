"""Which keys a block of queries needs: the plan of row-block attention over a token tree.

Cut the packed positions into blocks of `rows` queries. The keys that any row of a block sees are the ancestors of
its first row plus the block itself, because a token before the block is visible in it only if the path of the
block's first row runs through it. Keys are gathered and padded to a common number, so that one batched matrix
product does all blocks; blocks of very different reach go to separate buckets to keep the padding small.

Shapes: nb blocks, R rows of a block, K gathered keys.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dizuo.trees.tree import Packed

__all__ = ["Blocks", "Bucket", "plan_blocks"]

ROWS = 64
"""Queries of a block; 64 and 96 measured alike, 16 and 32 slower, on two CPU cores."""
MAX_BUCKETS = 3


@dataclass(frozen=True, slots=True)
class Bucket:
    """Blocks that gather equally many keys."""

    rows: Tensor
    """[nb, R] packed positions of the queries; a short block repeats its last one."""
    places: Tensor
    """[nb, R] where in the output each query's answer goes."""
    keys: Tensor
    """[nb, K] packed positions of the keys; padded with the block's own first position."""
    hidden: Tensor
    """[nb, R, K] True where row and key must not see each other."""
    padding: Tensor
    """[nb · R] True where a row is a repetition, so that its gradient must not count."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """The plan for one tree and one window."""

    num_tokens: int
    num_queries: int
    """Rows of the output: num_tokens, or the number of chosen queries."""
    buckets: tuple[Bucket, ...]

    @property
    def num_pairs(self) -> int:
        """Query–key pairs computed, padding included."""
        return sum(int(bucket.hidden.numel()) for bucket in self.buckets)


def plan_blocks(
    tree: Packed, *, window: int | None = None, rows: int = ROWS, queries: NDArray[np.int64] | None = None
) -> Blocks:
    """Plan row-block attention.

    Args:
        tree: T packed tokens.
        window: a token sees at most this many tokens of its own path, itself included; None sees all of it. Distances
            are those of the sequence (depths), never packed ones.
        rows: queries of a block.
        queries: ascending packed positions that need an answer; None is all of them.

    Returns:
        Buckets that together hold every query once.
    """
    wanted = np.arange(len(tree), dtype=np.int64) if queries is None else queries
    starts = range(0, len(wanted), rows)
    blocks = [_block(tree, wanted[start : start + rows], window) for start in starts]
    buckets = tuple(
        _bucket(tree, [(starts[number], *blocks[number]) for number in members], window, rows)
        for members in _partition(np.array([len(keys) for _, keys in blocks]))
    )
    return Blocks(num_tokens=len(tree), num_queries=len(wanted), buckets=buckets)


def _block(tree: Packed, queries: NDArray[np.int64], window: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    first, last = int(queries[0]), int(queries[-1])
    earlier = np.arange(first)
    ancestors = earlier[tree.end[:first] > first]
    inside = np.arange(first, last + 1)
    if len(inside) > len(queries):  # chosen queries: keep only what one of them sees
        inside = inside[
            ((inside[None, :] <= queries[:, None]) & (queries[:, None] < tree.end[inside][None, :])).any(axis=0)
        ]
    if window is not None:
        ancestors = ancestors[tree.depth[ancestors] > tree.depth[queries].min() - window]
    return queries, np.concatenate((ancestors, inside))


def _partition(sizes: NDArray[np.int64]) -> list[list[int]]:
    """Split the blocks into at most MAX_BUCKETS groups of similar size: fewest padded keys plus a cost per group."""
    order = np.argsort(-sizes, kind="stable")
    ordered = sizes[order]
    count = len(ordered)
    overhead = 64.0  # padded keys that one more bucket must save: its own kernel launches
    nothing: tuple[float, list[int]] = (np.inf, [])
    best: list[list[tuple[float, list[int]]]] = [[(0.0, []), *[nothing] * count]]
    for groups in range(1, min(MAX_BUCKETS, count) + 1):
        row = [nothing] * (count + 1)
        for stop in range(1, count + 1):
            for start in range(stop):
                before, cuts = best[groups - 1][start]
                cost = before + float(ordered[start]) * (stop - start) + overhead
                if cost < row[stop][0]:
                    row[stop] = (cost, [*cuts, start])
        best.append(row)
    _, cuts = min((table[count] for table in best), key=lambda entry: entry[0])
    bounds = [*cuts, count]
    return [sorted(order[low:high].tolist()) for low, high in itertools.pairwise(bounds)]


def _bucket(
    tree: Packed,
    blocks: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]],
    window: int | None,
    rows: int,
) -> Bucket:
    height = min(rows, max(len(queries) for _, queries, _ in blocks))
    width = max(len(keys) for _, _, keys in blocks)
    places = np.empty((len(blocks), height), np.int64)
    row_index = np.empty((len(blocks), height), np.int64)
    key_index = np.empty((len(blocks), width), np.int64)
    hidden = np.ones((len(blocks), height, width), np.bool_)
    padding = np.zeros((len(blocks), height), np.bool_)
    for number, (start, queries, keys) in enumerate(blocks):
        places[number] = start + np.minimum(np.arange(height), len(queries) - 1)
        padding[number, len(queries) :] = True
        row_index[number] = np.pad(queries, (0, height - len(queries)), mode="edge")
        key_index[number] = np.pad(keys, (0, width - len(keys)), mode="edge")
        i, j = row_index[number][:, None], keys[None, :]
        sees = (j <= i) & (i < tree.end[keys][None, :])
        if window is not None:
            sees &= tree.depth[keys][None, :] > tree.depth[row_index[number]][:, None] - window
        hidden[number, :, : len(keys)] = ~sees
    return Bucket(
        rows=torch.from_numpy(row_index),
        places=torch.from_numpy(places),
        keys=torch.from_numpy(key_index),
        hidden=torch.from_numpy(hidden),
        padding=torch.from_numpy(padding.reshape(-1)),
    )
