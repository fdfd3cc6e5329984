"""The token tree: a batch of token sequences in which every distinct prefix stands once.

The sequences become a radix tree laid out in depth-first order. Sorted lexicographically, a sequence shares with
the one before it exactly its longest common prefix and adds the rest, so the whole tree is built by one sort and one
pass; no node objects exist.

    sequences          packed tree (T = 7 instead of 12)
    a b c d            ids     a  b  c  d  x  y  z
    a b c x            depth   0  1  2  3  3  2  1        position in its own sequence
    a b y              end     7  6  5  4  5  6  7        one past the last index whose path runs through here
    a z                parent -1  0  1  2  2  1  0

Position i sees position j exactly when j <= i < end[j]: j is then on i's own path. Padding and leaks between
sequences cannot be expressed.

Shapes: T packed tokens, n sequences, W weighted tokens over all sequences, E distinct trained tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Packed", "Sequences", "TokenTree", "build", "common_prefix"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sequences:
    """A batch, blind to its layout: token ids with a training weight per token.

    `weights[s][t]` is the weight with which sequence s trains the prediction of its token t; 0 is context only. The
    first token of a sequence has nothing before it that could predict it, so its weight is 0.
    """

    ids: tuple[NDArray[np.int32], ...]
    """One array of token ids [length] per sequence; every length is at least 1."""
    weights: tuple[NDArray[np.float32], ...]
    """One array of weights [length] per sequence, finite and not negative unless the method means it."""
    keys: tuple[int, ...] = ()
    """What else the model reads (an image's digest, say) as a number per sequence; only equal keys share tokens.
    Sequences of different adapters go into different batches."""

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.weights), "one weight array per sequence"
        assert not self.keys or len(self.keys) == len(self.ids), "one key per sequence"
        for ids, weights in zip(self.ids, self.weights, strict=True):
            assert len(ids) == len(weights) > 0, "a sequence has at least one token and one weight per token"
            assert weights[0] == 0, "nothing predicts the first token of a sequence"

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sum_lengths(self) -> int:
        """Tokens over all sequences, before sharing."""
        return sum(len(ids) for ids in self.ids)

    @property
    def total_weight(self) -> float:
        """Σ of all weights, in float64."""
        return float(sum(weights.sum(dtype=np.float64) for weights in self.weights))

    @classmethod
    def of(cls, rows: Iterable[tuple[Sequence[int], Sequence[float]]]) -> Sequences:
        """Build from pairs of ids and weights."""
        pairs = [(np.asarray(ids, np.int32), np.asarray(weights, np.float32)) for ids, weights in rows]
        return cls(tuple(ids for ids, _ in pairs), tuple(weights for _, weights in pairs))


@dataclass(frozen=True, slots=True)
class Packed:
    """What a model runs on: the tokens of a tree that some wanted state depends on, in the same order."""

    ids: Ints
    """[P] token ids, P ≤ T."""
    depth: Ints
    """[P] position ids."""
    end: Ints
    """[P] one past the last packed index whose path runs through this token."""
    rows: Ints
    """[Q] packed indices of the wanted states, in the order they were asked for."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class TokenTree:
    """Arrays of one packed batch; see the picture in the module's docstring."""

    ids: Ints
    """[T] token ids in depth-first order."""
    depth: Ints
    """[T] position of the token in its own sequence: the position ids."""
    end: Ints
    """[T] one past the last packed index whose path runs through this token."""
    parent: Ints
    """[T] packed index of the token before it; -1 at roots."""
    last: Ints
    """[n] packed index of each sequence's last token."""
    edge: Ints
    """[E] packed indices of the distinct tokens that some sequence trains, ascending."""
    edge_weight: Floats
    """[E] Σ over sequences of the weight on that token."""
    path_edge: Ints
    """[W] for every weighted token in batch order (sequence by sequence), its place in `edge`."""
    path_weight: Floats
    """[W] the weight of that sequence on that token."""
    path_sequence: Ints
    """[W] which sequence it is."""
    path: tuple[Ints, ...]
    """Per sequence, the packed index of each of its tokens [length]."""

    def __len__(self) -> int:
        return len(self.ids)

    def needed(self, wanted: Ints) -> Packed:
        """Leave out every token that no wanted state depends on, such as an end of turn after which nothing comes.

        Args:
            wanted: [Q] ascending indices of the tokens whose states are needed.
        """
        # Token j is needed when a wanted index lies in [j, end[j]), the part of the tree below it.
        index = np.arange(len(self))
        keep = np.searchsorted(wanted, index) < np.searchsorted(wanted, self.end)
        place = np.concatenate(([0], np.cumsum(keep)))
        return Packed(ids=self.ids[keep], depth=self.depth[keep], end=place[self.end[keep]], rows=place[wanted])

    def visible(self) -> NDArray[np.bool_]:
        """[T, T] whether row i sees column j; for tests and small trees only."""
        index = np.arange(len(self))
        seen: NDArray[np.bool_] = (index[None, :] <= index[:, None]) & (index[:, None] < self.end[None, :])
        return seen


def build(sequences: Sequences) -> TokenTree:
    """Pack a batch into its token tree.

    Args:
        sequences: n ≥ 1 sequences.

    Returns:
        The tree; T is the number of distinct prefixes of the batch (a node never merges different prefixes).
    """
    n = len(sequences)
    keys = sequences.keys or (0,) * n
    # Big-endian bytes sort like the token ids themselves, so Python compares whole sequences with one memcmp.
    order = sorted(range(n), key=lambda s: (keys[s], sequences.ids[s].astype(">i4").tobytes()))
    chunks: list[NDArray[np.int32]] = []
    depths: list[Ints] = []
    parents: list[Ints] = []
    ends: list[tuple[Ints, int]] = []
    paths: list[Ints] = [np.empty(0, np.int64)] * n
    total = 0
    previous: NDArray[np.int32] = np.empty(0, np.int32)
    previous_key: int | None = None
    path: Ints = np.empty(0, np.int64)
    for s in order:
        ids = sequences.ids[s]
        shared = common_prefix(previous, ids) if keys[s] == previous_key else 0
        ends.append((path[shared:], total))
        new = len(ids) - shared
        index = np.arange(total, total + new, dtype=np.int64)
        if new:
            first_parent = path[shared - 1] if shared else -1
            chunks.append(ids[shared:])
            depths.append(np.arange(shared, len(ids), dtype=np.int64))
            parents.append(np.concatenate(([first_parent], index[:-1])).astype(np.int64))
        path = np.concatenate((path[:shared], index))
        paths[s] = path
        total += new
        previous, previous_key = ids, keys[s]
    ends.append((path, total))
    end = np.empty(total, np.int64)
    for where, value in ends:
        end[where] = value

    weighted = [np.flatnonzero(weights) for weights in sequences.weights]
    tokens = np.concatenate([paths[s][weighted[s]] for s in range(n)])
    path_weight = np.concatenate([sequences.weights[s][weighted[s]] for s in range(n)]).astype(np.float32)
    edge, path_edge = np.unique(tokens, return_inverse=True)
    edge_weight = np.bincount(path_edge, weights=path_weight, minlength=len(edge)).astype(np.float32)
    return TokenTree(
        ids=np.concatenate(chunks).astype(np.int64),
        depth=np.concatenate(depths),
        end=end,
        parent=np.concatenate(parents),
        last=np.array([path[-1] for path in paths], np.int64),
        edge=edge,
        edge_weight=edge_weight,
        path_edge=path_edge.astype(np.int64),
        path_weight=path_weight,
        path_sequence=np.repeat(np.arange(n, dtype=np.int64), [len(where) for where in weighted]),
        path=tuple(paths),
    )


def common_prefix(a: NDArray[np.int32], b: NDArray[np.int32]) -> int:
    """Return how many first tokens two sequences share."""
    length = min(len(a), len(b))
    different = np.flatnonzero(a[:length] != b[:length])
    return int(different[0]) if len(different) else length
