"""Which keys a block of queries needs: the plan of row-block attention over a token tree.

Cut the packed positions into blocks of `rows` queries. The keys that any row of a block sees are the ancestors of
its first row plus the block itself, because a token before the block is visible in it only if the path of the
block's first row runs through it. Keys are gathered and padded to a common number, so that one batched matrix
product does all blocks; blocks of very different reach go to separate buckets to keep the padding small.

Shapes: T packed tokens, Q answered queries, B blocks of R rows and K gathered keys; of one block, q queries and k keys
before they are padded to R and K.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dizuo.trees.tree import Packed

__all__ = ["Blocks", "Bucket", "blocks_from_mask", "plan_blocks"]

ROWS = 64
"""Queries of a block; 64 and 96 measured alike, 16 and 32 slower, on two CPU cores."""
MAX_BUCKETS = 3


@dataclass(frozen=True, slots=True)
class Bucket:
    """Blocks that gather equally many keys."""

    rows: Tensor
    """[B, R] packed positions of the queries; a short block repeats its last one."""
    out_rows: Tensor
    """[B, R] which row of the output each query's answer is."""
    keys: Tensor
    """[B, K] packed positions of the keys; padded with the block's own first position."""
    hidden: Tensor
    """[B, R, K] True where row and key must not see each other."""
    padding: Tensor
    """[B · R] True where a row is a repetition, so that its gradient must not count."""

    def to(self, device: torch.device | str) -> Bucket:
        """Return the bucket on a device."""
        return Bucket(*(getattr(self, field.name).to(device) for field in fields(self)))


@dataclass(frozen=True, slots=True)
class Blocks:
    """The plan for one tree and one window."""

    num_tokens: int
    num_queries: int
    """Rows of the output: num_tokens, or the number of chosen queries."""
    buckets: tuple[Bucket, ...]


def plan_blocks(
    tree: Packed, *, window: int | None = None, rows: int = ROWS, queries: NDArray[np.int64] | None = None
) -> Blocks:
    """Plan row-block attention.

    Args:
        tree: T packed tokens.
        window: a token sees at most this many tokens of its own path, itself included; None sees all of it. Distances
            are those of the sequence (depths), never packed ones.
        rows: queries of a block.
        queries: [Q] ascending packed positions that need an answer; None is all of them.

    Returns:
        Buckets that together hold every query once.
    """
    query_Q = np.arange(len(tree), dtype=np.int64) if queries is None else queries
    starts = range(0, len(query_Q), rows)
    blocks = [_block(tree, query_Q[start : start + rows], window) for start in starts]
    buckets = tuple(
        _bucket(tree, [(starts[number], *blocks[number]) for number in members], window, rows)
        for members in _partition(np.array([len(key_k) for _, key_k in blocks]))
    )
    return Blocks(num_tokens=len(tree), num_queries=len(query_Q), buckets=buckets)


def blocks_from_mask(visible_TT: Tensor, rows: int = ROWS) -> Blocks:
    """Plan row-block attention from a dense mask, for rules that are not a tree and a window alone.

    Args:
        visible_TT: bool, whether a row sees a column; every row sees one at least.
        rows: queries of a block.

    Returns:
        One bucket of all queries.
    """
    tokens = visible_TT.shape[0]
    index = torch.arange(-(-tokens // rows) * rows)
    row_BR = index.clamp(max=tokens - 1).view(-1, rows)
    keys = [visible_TT[row_R].any(0).nonzero()[:, 0] for row_R in row_BR]
    width = max(len(key_k) for key_k in keys)
    pad = torch.nn.functional.pad
    key_BK = torch.stack([pad(key_k, (0, width - len(key_k)), value=int(key_k[-1])) for key_k in keys])
    hidden_BRK = torch.ones(len(keys), rows, width, dtype=torch.bool)
    for number, key_k in enumerate(keys):
        hidden_BRK[number, :, : len(key_k)] = ~visible_TT[row_BR[number]][:, key_k]
    bucket = Bucket(rows=row_BR, out_rows=row_BR, keys=key_BK, hidden=hidden_BRK, padding=index >= tokens)
    return Blocks(num_tokens=tokens, num_queries=tokens, buckets=(bucket,))


def _block(tree: Packed, query_q: NDArray[np.int64], window: int | None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the queries of a block and the keys that any of them sees."""
    first, last = int(query_q[0]), int(query_q[-1])
    earlier = np.arange(first)
    ancestors = earlier[tree.end[:first] > first]
    inside = np.arange(first, last + 1)
    if len(inside) > len(query_q):  # chosen queries: keep only what one of them sees
        inside = inside[
            ((inside[None, :] <= query_q[:, None]) & (query_q[:, None] < tree.end[inside][None, :])).any(axis=0)
        ]
    if window is not None:
        ancestors = ancestors[tree.depth[ancestors] > tree.depth[query_q].min() - window]
    return query_q, np.concatenate((ancestors, inside))


def _partition(size_B: NDArray[np.int64]) -> list[list[int]]:
    """Split the blocks into at most MAX_BUCKETS groups of similar size: fewest padded keys plus a cost per group."""
    order_B = np.argsort(-size_B, kind="stable")
    ordered_B = size_B[order_B]
    count = len(ordered_B)
    overhead = 64.0  # padded keys that one more bucket must save: its own kernel launches
    nothing: tuple[float, list[int]] = (np.inf, [])
    best: list[list[tuple[float, list[int]]]] = [[(0.0, []), *[nothing] * count]]
    for groups in range(1, min(MAX_BUCKETS, count) + 1):
        row = [nothing] * (count + 1)
        for stop in range(1, count + 1):
            for start in range(stop):
                before, cuts = best[groups - 1][start]
                cost = before + float(ordered_B[start]) * (stop - start) + overhead
                if cost < row[stop][0]:
                    row[stop] = (cost, [*cuts, start])
        best.append(row)
    _, cuts = min((table[count] for table in best), key=lambda entry: entry[0])
    bounds = [*cuts, count]
    return [sorted(order_B[low:high].tolist()) for low, high in itertools.pairwise(bounds)]


def _bucket(
    tree: Packed,
    blocks: list[tuple[int, NDArray[np.int64], NDArray[np.int64]]],
    window: int | None,
    rows: int,
) -> Bucket:
    """Pad blocks, each its first output row, its queries and its keys, to a common shape."""
    R = min(rows, max(len(query_q) for _, query_q, _ in blocks))
    K = max(len(key_k) for _, _, key_k in blocks)
    out_row_BR = np.empty((len(blocks), R), np.int64)
    row_BR = np.empty((len(blocks), R), np.int64)
    key_BK = np.empty((len(blocks), K), np.int64)
    hidden_BRK = np.ones((len(blocks), R, K), np.bool_)
    padding_BR = np.zeros((len(blocks), R), np.bool_)
    for number, (start, query_q, key_k) in enumerate(blocks):
        out_row_BR[number] = start + np.minimum(np.arange(R), len(query_q) - 1)
        padding_BR[number, len(query_q) :] = True
        row_BR[number] = np.pad(query_q, (0, R - len(query_q)), mode="edge")
        key_BK[number] = np.pad(key_k, (0, K - len(key_k)), mode="edge")
        i, j = row_BR[number][:, None], key_k[None, :]
        sees_Rk = (j <= i) & (i < tree.end[key_k][None, :])
        if window is not None:
            sees_Rk &= tree.depth[key_k][None, :] > tree.depth[row_BR[number]][:, None] - window
        hidden_BRK[number, :, : len(key_k)] = ~sees_Rk
    return Bucket(
        rows=torch.from_numpy(row_BR),
        out_rows=torch.from_numpy(out_row_BR),
        keys=torch.from_numpy(key_BK),
        hidden=torch.from_numpy(hidden_BRK),
        padding=torch.from_numpy(padding_BR.reshape(-1)),
    )
