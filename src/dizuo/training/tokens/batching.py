"""Which rows an optimizer step trains, which of them a rank takes, and how they are cut into blocks that fit.

The order of rows is a function of (seed, epoch, position) alone, so resuming is index arithmetic and the number of
ranks changes nothing. Steps run over one endless stream of epochs: every step but the last has exactly `batch_size`
examples, and every row is seen once per epoch.

Sharing a step out among ranks and cutting it into blocks change its speed and memory, never its loss or gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.data import order
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import common_prefix, count_packed

__all__ = ["Stream", "cut_blocks", "find_worst_block", "take_share"]


class Stream:
    """The rows of every step of a run.

    Args:
        num_examples: examples in the split.
        batch_size: examples per step.
        total: examples over all steps, as in `round(epochs × num_examples)`.
        seed: the run's seed.
    """

    def __init__(self, num_examples: int, *, batch_size: int, total: int, seed: int) -> None:
        self._n, self._batch, self._total, self._seed = num_examples, batch_size, total, seed
        self._orders: dict[int, NDArray[np.int64]] = {}

    @property
    def num_steps(self) -> int:
        """Optimizer steps of the run; the last may be smaller than the others."""
        return math.ceil(self._total / self._batch)

    def examples(self, step: int) -> list[int]:
        """Return the examples of a step, counted from 1."""
        start = (step - 1) * self._batch
        return [self._at(position) for position in range(start, min(start + self._batch, self._total))]

    def every(self) -> set[int]:
        """Return all examples that the run trains."""
        if self._total >= self._n:
            return set(range(self._n))
        return {self._at(position) for position in range(self._total)}

    def _at(self, position: int) -> int:
        epoch, offset = divmod(position, self._n)
        if epoch not in self._orders:
            self._orders = {e: o for e, o in self._orders.items() if e >= epoch - 1}
            self._orders[epoch] = order(self._n, seed=self._seed, epoch=epoch)
        return int(self._orders[epoch][offset])


def cut_blocks(store: TokenStore, examples: Sequence[int], *, budget: int, layout: str) -> list[list[int]]:
    """Cut a step's examples into blocks of at most `budget` tokens each (an example that is larger stands alone).

    Args:
        store: the tokens.
        examples: what the step trains; a row may occur twice, at the seam of two epochs.
        budget: packed tokens (layout `tree`) or sequences × longest (layout `padded`) of one block.
        layout: `tree` or `padded`.

    Returns:
        Lists of examples that together are `examples`. One block keeps the given order; where several are needed,
        rows that share a prefix, or have similar lengths when padded, stand together.
    """
    if not examples or _size(store, examples, layout) <= budget:
        return [list(examples)] if examples else []
    ordered = _ordered(store, examples, layout)
    blocks: list[list[int]] = []
    start = 0
    while start < len(ordered):
        stop = start + 1
        # Sizes grow with every example, so the end of the block is found by bisection.
        low, high = start + 1, len(ordered)
        while low <= high:
            middle = (low + high) // 2
            if _size(store, ordered[start:middle], layout) <= budget:
                stop, low = middle, middle + 1
            else:
                high = middle - 1
        blocks.append(ordered[start:stop])
        start = stop
    return blocks


def take_share(store: TokenStore, examples: Sequence[int], *, rank: int, world: int, layout: str) -> list[int]:
    """Return the examples of a step that one rank takes: a function of the step, the rank and their number alone.

    The shares are runs of neighbours in the order of prefixes (or of lengths, when padded), cut so that the largest
    has as few tokens as possible. A rank may get none, where there are fewer distinct rows than ranks.

    Args:
        store: the tokens.
        examples: what the step trains, over all ranks.
        rank: whose share, from 0.
        world: number of ranks; for one the examples come back as they are.
        layout: `tree` (what neighbours share counts once) or `padded`.
    """
    if world == 1:
        return list(examples)
    ordered = _ordered(store, examples, layout)
    alone = np.array([_own_size(store, example, layout) for example in ordered])
    shared = np.zeros_like(alone)
    if layout == "tree":
        first = [store.ids(store.sequences_of(example)[0]) for example in ordered]
        shared[1:] = [common_prefix(a, b) for a, b in itertools.pairwise(first)]
    low, high = int(alone.max()), int(alone.sum())
    while low < high:
        middle = (low + high) // 2
        if len(_runs(alone, shared, middle)) <= world:
            high = middle
        else:
            low = middle + 1
    edges = [*_runs(alone, shared, low), len(ordered)]
    return ordered[edges[rank] : edges[rank + 1]] if rank + 1 < len(edges) else []


def _runs(alone: NDArray[np.int64], shared: NDArray[np.int64], limit: int) -> list[int]:
    """Return where runs of at most `limit` tokens start, each taking as much as fits."""
    starts, size = [0], int(alone[0])
    for index in range(1, len(alone)):
        size += int(alone[index] - shared[index])
        if size > limit:
            starts.append(index)
            size = int(alone[index])
    return starts


def find_worst_block(store: TokenStore, *, batch_size: int, budget: int, layout: str) -> list[int]:
    """Return the examples of the largest block that could ever run: the longest ones, as many as fit."""
    sizes = store.sizes if layout == "tree" else store.padded_sizes
    longest = np.argsort(-sizes, kind="stable")[:batch_size].tolist()
    return max(cut_blocks(store, longest, budget=budget, layout=layout), key=lambda block: _size(store, block, layout))


def _size(store: TokenStore, examples: Sequence[int], layout: str) -> int:
    sequences = [store.ids(number) for example in examples for number in store.sequences_of(example)]
    if layout == "tree":
        return count_packed(sequences)
    return len(sequences) * max(len(ids) for ids in sequences)


def _ordered(store: TokenStore, examples: Sequence[int], layout: str) -> list[int]:
    """Return examples so that neighbours share a prefix, or have similar lengths when padded."""
    if layout == "tree":
        return sorted(examples, key=lambda example: _key(store, example))
    return sorted(examples, key=lambda example: _longest(store, example))


def _own_size(store: TokenStore, example: int, layout: str) -> int:
    sequences = [store.ids(number) for number in store.sequences_of(example)]
    return count_packed(sequences) if layout == "tree" else len(sequences) * max(len(ids) for ids in sequences)


def _key(store: TokenStore, example: int) -> bytes:
    return store.ids(store.sequences_of(example)[0]).astype(">i4").tobytes()


def _longest(store: TokenStore, example: int) -> int:
    return max(len(store.ids(number)) for number in store.sequences_of(example))
