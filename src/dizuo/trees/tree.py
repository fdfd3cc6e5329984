"""The token tree: a batch of token sequences in which every distinct prefix stands once.

    Sequences    a batch as methods make it: token ids, a weight per token, and what else the model reads
    TokenTree    the packed arrays of a batch; `build` makes them
    Packed       the tokens of a tree that a model must run on

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

Shapes: n sequences, L tokens of one sequence, T packed tokens, W weighted tokens over all sequences, E distinct
trained tokens, Q wanted states, P packed tokens that they depend on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Packed", "Sequences", "TokenTree", "build", "common_prefix", "count_packed", "predicting_ids"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

_SYMBOL = np.dtype([("key", ">i8"), ("id", ">i4")])
"""What two sequences must have in common at a position to share it."""


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
    keys: tuple[NDArray[np.int64], ...] = ()
    """What the model reads at each token [length] besides its id and position, as a number, such as a digest of an
    image; empty where it reads nothing else. Two sequences share a token only if ids and keys agree up to it.
    Sequences of different adapters go into different batches."""

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.weights), "one weight array per sequence"
        assert not self.keys or len(self.keys) == len(self.ids), "one array of keys per sequence"
        for ids, weights in zip(self.ids, self.weights, strict=True):
            assert len(ids) == len(weights) > 0, "a sequence has at least one token and one weight per token"
            assert weights[0] == 0, "nothing predicts the first token of a sequence"
        for ids, keys in zip(self.ids, self.keys, strict=False):
            assert keys.shape == ids.shape, "one key per token"

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
    def of(
        cls,
        rows: Iterable[tuple[Sequence[int], Sequence[float]]],
        *,
        keys: Iterable[int | Sequence[int]] | None = None,
    ) -> Sequences:
        """Build from pairs of ids and weights.

        Args:
            rows: ids and weights of each sequence, of the same length.
            keys: what else the model reads, for each sequence: one number per token, or one number for all its tokens.
                Numbers fit into 64 signed bits: of a digest, `int.from_bytes(digest[:8], "big", signed=True)`. Give an
                image's number to the tokens from the first that reads it on; what stands before it is still shared.
        """
        pairs = [(np.asarray(ids, np.int32), np.asarray(weights, np.float32)) for ids, weights in rows]
        ids = tuple(ids for ids, _ in pairs)
        each = () if keys is None else _keys_of(ids, tuple(keys))
        return cls(ids, tuple(weights for _, weights in pairs), each)

    def num_shared(self, a: int, b: int) -> int:
        """Return how many first tokens the sequences number a and b share."""
        shared = common_prefix(self.ids[a], self.ids[b])
        return min(shared, common_prefix(self.keys[a], self.keys[b])) if self.keys else shared


def _keys_of(
    ids: tuple[NDArray[np.int32], ...], keys: tuple[int | Sequence[int], ...]
) -> tuple[NDArray[np.int64], ...]:
    assert len(keys) == len(ids), "one key, or one array of keys, per sequence"
    each = [np.asarray(key, np.int64) for key in keys]
    return tuple(np.full(len(row), key) if key.ndim == 0 else key for row, key in zip(ids, each, strict=True))


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
    path_edge: Ints
    """[W] for every weighted token in batch order (sequence by sequence), its index in `edge`."""
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
        index_T = np.arange(len(self))
        keep_T = np.searchsorted(wanted, index_T) < np.searchsorted(wanted, self.end)
        num_kept_before = np.concatenate(([0], np.cumsum(keep_T)))
        return Packed(
            ids=self.ids[keep_T],
            depth=self.depth[keep_T],
            end=num_kept_before[self.end[keep_T]],
            rows=num_kept_before[wanted],
        )

    def visible(self) -> NDArray[np.bool_]:
        """Return [T, T] whether row i sees column j; for tests and small trees only."""
        index_T = np.arange(len(self))
        seen_TT: NDArray[np.bool_] = (index_T[None, :] <= index_T[:, None]) & (index_T[:, None] < self.end[None, :])
        return seen_TT


def build(sequences: Sequences) -> TokenTree:
    """Pack a batch into its token tree.

    Args:
        sequences: n ≥ 1 sequences.

    Returns:
        The tree; T is the number of distinct prefixes of the batch (a node never merges different prefixes).
    """
    n = len(sequences)
    order = sorted(range(n), key=lambda s: _sort_key(sequences, s))
    chunks: list[NDArray[np.int32]] = []
    depths: list[Ints] = []
    parents: list[Ints] = []
    ends: list[tuple[Ints, int]] = []
    paths: list[Ints] = [np.empty(0, np.int64)] * n
    total = 0
    previous: int | None = None
    path_L: Ints = np.empty(0, np.int64)
    for s in order:
        ids_L = sequences.ids[s]
        shared = 0 if previous is None else sequences.num_shared(previous, s)
        ends.append((path_L[shared:], total))
        num_new = len(ids_L) - shared
        index_new = np.arange(total, total + num_new, dtype=np.int64)
        if num_new:
            first_parent = path_L[shared - 1] if shared else -1
            chunks.append(ids_L[shared:])
            depths.append(np.arange(shared, len(ids_L), dtype=np.int64))
            parents.append(np.concatenate(([first_parent], index_new[:-1])).astype(np.int64))
        path_L = np.concatenate((path_L[:shared], index_new))
        paths[s] = path_L
        total += num_new
        previous = s
    ends.append((path_L, total))
    end_T = np.empty(total, np.int64)
    for left, stop in ends:
        end_T[left] = stop

    weighted = [np.flatnonzero(weights_L) for weights_L in sequences.weights]
    token_W = np.concatenate([paths[s][weighted[s]] for s in range(n)])
    weight_W = np.concatenate([sequences.weights[s][weighted[s]] for s in range(n)]).astype(np.float32)
    edge_E, edge_W = np.unique(token_W, return_inverse=True)
    return TokenTree(
        ids=np.concatenate(chunks).astype(np.int64),
        depth=np.concatenate(depths),
        end=end_T,
        parent=np.concatenate(parents),
        last=np.array([path_L[-1] for path_L in paths], np.int64),
        edge=edge_E,
        path_edge=edge_W.astype(np.int64),
        path_weight=weight_W,
        path_sequence=np.repeat(np.arange(n, dtype=np.int64), [len(tokens) for tokens in weighted]),
        path=tuple(paths),
    )


def _sort_key(sequences: Sequences, s: int) -> bytes:
    """Return bytes that sort whole sequences by one memcmp: big-endian numbers sort like the numbers themselves.

    What is equal up to a token must come to lie together; in which order different symbols stand does not matter.
    """
    ids_L = sequences.ids[s]
    if not sequences.keys:
        return ids_L.astype(">i4").tobytes()
    symbols_L = np.empty(len(ids_L), _SYMBOL)
    symbols_L["key"], symbols_L["id"] = sequences.keys[s], ids_L
    return symbols_L.tobytes()


def common_prefix(a: NDArray[np.integer], b: NDArray[np.integer]) -> int:
    """Return how many first entries two arrays of token ids share."""
    length = min(len(a), len(b))
    different = np.flatnonzero(a[:length] != b[:length])
    return int(different[0]) if len(different) else length


def count_packed(sequences: Iterable[NDArray[np.int32]]) -> int:
    """Return the tokens of the sequences' tree: each adds what it does not share with its neighbour in sorted order."""
    total, before = 0, np.empty(0, np.int32)
    for ids in sorted(sequences, key=lambda ids: ids.astype(">i4").tobytes()):
        total += len(ids) - common_prefix(before, ids)
        before = ids
    return total


def predicting_ids(ids: NDArray[np.int32], weights: Floats) -> NDArray[np.int32]:
    """Return the tokens of a sequence that a model must read to predict the weighted ones: those before the last."""
    weighted = np.flatnonzero(weights)
    return ids[: int(weighted[-1])] if len(weighted) else ids[:0]
