"""The tokens of a split on disk: memory-mapped arrays, and what the untrained model thinks of each sequence.

Shapes: m examples, n sequences (n = m for most methods), L tokens over all sequences, k targets per example.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dizuo.training.method import Batch
from dizuo.training.tokens.counts import TokenCounts
from dizuo.trees import Sequences

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ARRAYS", "TokenStore", "digest_arrays"]

ARRAYS = ("ids", "weights", "starts", "firsts", "rows", "targets")
REFERENCE = "reference.npz"


class TokenStore:
    """Token sequences of one split on disk.

    Args:
        folder: what `tokenize` wrote.

    Raises:
        OSError, ValueError: a file is missing, or is not what `tokenize` wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.digest, self.counts = _read_facts(self.folder / "facts.json")
        arrays = {name: _open(self.folder / f"{name}.npy") for name in ARRAYS}
        self._ids, self._weights = arrays["ids"], arrays["weights"]
        self._starts: NDArray[np.int64] = arrays["starts"]
        self._firsts: NDArray[np.int64] = arrays["firsts"]
        self.rows: NDArray[np.int64] = arrays["rows"]
        """[m] row of each example in its split."""
        self.targets: NDArray[np.float32] = arrays["targets"]
        """[m, k] numbers of each example that are not tokens."""
        self.damaged_reference = False
        """Whether there is a reference that cannot be used."""
        self.reference: NDArray[np.float64] | None = self._kept_reference()
        """[n] Σ weight × log p of each sequence before training, in nats; NaN where it is not known."""

    def __len__(self) -> int:
        """Number of examples m."""
        return len(self.rows)

    @property
    def sizes(self) -> NDArray[np.int64]:
        """[m] tokens of each example over its sequences."""
        return np.diff(self._starts[self._firsts])

    @property
    def padded_sizes(self) -> NDArray[np.int64]:
        """[m] tokens of each example when its sequences are padded to their longest."""
        longest: NDArray[np.int64] = np.maximum.reduceat(self.lengths, self._firsts[:-1])
        return longest * np.diff(self._firsts)

    @property
    def num_sequences(self) -> int:
        """Number of sequences n."""
        return len(self._starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[n] tokens of each sequence."""
        return np.diff(self._starts)

    def sequences_of(self, example: int) -> range:
        """Return the numbers of an example's sequences."""
        return range(int(self._firsts[example]), int(self._firsts[example + 1]))

    def ids(self, sequence: int) -> NDArray[np.int32]:
        """[length] token ids of a sequence, a view of the file."""
        ids: NDArray[np.int32] = self._ids[self._starts[sequence] : self._starts[sequence + 1]]
        return ids

    def weights(self, sequence: int) -> NDArray[np.float32]:
        """[length] weights of a sequence, a view of the file."""
        weights: NDArray[np.float32] = self._weights[self._starts[sequence] : self._starts[sequence + 1]]
        return weights

    def batch(
        self, examples: Sequence[int], *, members: Container[int] | None = None, context: Tensor | None = None
    ) -> Batch:
        """Return a block of these examples, in this order.

        Args:
            examples: of this store.
            members: take only these of each example's sequences; None takes all.
            context: handed on to the loss.
        """
        taken = [
            [member for member in range(len(self.sequences_of(example))) if members is None or member in members]
            for example in examples
        ]
        numbers = [
            self.sequences_of(example)[member] for example, own in zip(examples, taken, strict=True) for member in own
        ]
        sizes = [len(own) for own in taken]
        return Batch(
            sequences=Sequences(
                tuple(self.ids(number) for number in numbers), tuple(self.weights(number) for number in numbers)
            ),
            group=np.repeat(np.arange(len(taken), dtype=np.int64), sizes),
            member=np.array([member for own in taken for member in own], np.int64),
            example=self.rows[list(examples)],
            targets=self.targets[list(examples)],
            reference=None if self.reference is None else self.reference[numbers],
            context=context,
        )

    def keep_reference(self, values: NDArray[np.float64]) -> None:
        """Write the sequences' log-probabilities before training beside the tokens, whole or not at all."""
        partial = self.folder / f".{REFERENCE}"
        with partial.open("wb") as file:
            np.savez(file, values=values, digest=np.array(self._reference_digest(values)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self.folder / REFERENCE)
        self.reference = values

    def _kept_reference(self) -> NDArray[np.float64] | None:
        """Return what `keep_reference` wrote; None where it did not, or where it is damaged or of other tokens."""
        path = self.folder / REFERENCE
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                values: NDArray[np.float64] = kept["values"]
                if str(kept["digest"]) == self._reference_digest(values):
                    return values
        except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile):
            pass
        self.damaged_reference = True
        return None

    def _reference_digest(self, values: NDArray[np.float64]) -> str:
        return f"{self.digest} {digest_arrays(values)}"

    def verify(self) -> bool:
        """Return whether the files still hold what `tokenize` wrote."""
        try:
            return (
                digest_arrays(self._ids, self._weights, self._starts, self._firsts, self.rows, self.targets)
                == self.digest
            )
        except (OSError, ValueError):
            return False


def _read_facts(path: Path) -> tuple[str, TokenCounts]:
    """Return the digest and the counts that `tokenize` wrote.

    Raises:
        ValueError: the file holds something else.
    """
    facts = json.loads(path.read_text("utf-8"))
    try:
        digest = str(facts.pop("digest"))
        return digest, TokenCounts(**facts)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} does not hold the counts of a token file: {error}") from None


def _open(path: Path) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode=None if path.stat().st_size < 1 << 20 else "r", allow_pickle=False)
    return array


def digest_arrays(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 over the arrays' dtypes, shapes and values."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        for start in range(0, len(array), 1 << 22):
            total.update(np.ascontiguousarray(array[start : start + (1 << 22)]).tobytes())
    return "sha256:" + total.hexdigest()
