"""The documents of the side-car: their ids, their numbers, the digests of their texts, and their lengths.

A document gets a number, counted within its namespace, whenever its text is written; `documents.document` is the
number, with that of the namespace above it. `lengths` has the tokens of each document by its number, 4096 to a row.
Length 0 says that a document was replaced or removed, or has no token. So removing a document is one number to be
written, and its postings need not be looked for.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "digests", "find", "forget", "insert", "names", "read_lengths", "renumber", "scan", "text_digest", "write_lengths",
]  # fmt: skip

T = TypeVar("T")
_SHIFT = 40
"""Bits of a document's number."""
_PART = 4096
"""Documents whose lengths are one row."""
_SLICE = 500
"""Bound parameters of one statement; SQLite allows 32,766, older builds 999."""


def text_digest(text: str) -> bytes:
    """Return the digest of a text as `scan` yields it: BLAKE2b, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).digest()


def digests(documents: pa.StringArray) -> list[bytes | None]:
    """Return the digest of each text; None of a null."""
    number = len(documents)
    ends = np.frombuffer(documents.buffers()[1], np.int32)[documents.offset : documents.offset + number + 1].tolist()
    held = memoryview(documents.buffers()[2] or b"")
    make = hashlib.blake2b
    found: list[bytes | None] = [make(held[start:stop], digest_size=16).digest() for start, stop in pairwise(ends)]
    if documents.null_count:
        for row in np.flatnonzero(documents.is_null().to_numpy(zero_copy_only=False)).tolist():
            found[row] = None
    return found


def find(connection: sqlite3.Connection, namespace: int, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    """Return (number, digest) by id, of those documents that are there."""
    base = namespace << _SHIFT
    held: dict[str, tuple[int, bytes]] = {}
    for part in _slices(ids):
        rows = connection.execute(
            f"SELECT id, document - ?, digest FROM documents WHERE namespace = ? AND id IN ({_marks(part)})",
            (base, namespace, *part),
        )
        held.update((id, (number, digest)) for id, number, digest in rows)
    return held


def insert(
    connection: sqlite3.Connection, namespace: int, first: int, ids: Sequence[str], digests: Sequence[bytes]
) -> None:
    """Write new documents, numbered from `first`."""
    if first + len(ids) >= 1 << _SHIFT:
        raise AssertionError(f"{first:,} documents have been written to one namespace")
    base = (namespace << _SHIFT) + first
    connection.executemany(
        "INSERT INTO documents VALUES (?, ?, ?, ?)",
        zip(range(base, base + len(ids)), repeat(namespace, len(ids)), ids, digests, strict=True),
    )


def forget(connection: sqlite3.Connection, namespace: int, numbers: Sequence[int]) -> NDArray[np.uint32]:
    """Remove documents; return the lengths that they had."""
    if not numbers:
        return np.empty(0, np.uint32)
    base = namespace << _SHIFT
    ordered = sorted(numbers)
    connection.executemany("DELETE FROM documents WHERE document = ?", [(base + number,) for number in ordered])
    gone = np.array(ordered)
    before: NDArray[np.uint32] = read_lengths(connection, namespace, gone)[gone]
    write_lengths(connection, namespace, gone, np.zeros(len(gone), np.int64))
    return before


def names(connection: sqlite3.Connection, namespace: int, numbers: Sequence[int]) -> dict[int, str]:
    """Return the ids of documents by number; those that are gone are left out."""
    base = namespace << _SHIFT
    ids: dict[int, str] = {}
    for part in _slices(numbers):
        documents = [base + number for number in part]
        rows = connection.execute(f"SELECT document, id FROM documents WHERE document IN ({_marks(part)})", documents)
        ids.update((document - base, id) for document, id in rows)
    return ids


def scan(connection: sqlite3.Connection, namespace: int, *, after: str | None, limit: int) -> list[tuple[str, bytes]]:
    """Return up to `limit` (id, digest of the text) of a namespace, in the order of ids, after a given one."""
    rows = connection.execute(
        "SELECT id, digest FROM documents WHERE namespace = ? AND (? IS NULL OR id > ?) ORDER BY id LIMIT ?",
        (namespace, after, after, limit),
    )
    return list(rows)


def read_lengths(connection: sqlite3.Connection, namespace: int, numbers: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return lengths by document number: those of the given documents, and 0 for some others."""
    wanted = np.unique(numbers // _PART).tolist()
    lengths = np.zeros((max(wanted, default=-1) + 1) * _PART, np.uint32)
    for part in _slices(wanted):
        rows = connection.execute(
            f"SELECT part, lengths FROM lengths WHERE namespace = ? AND part IN ({_marks(part)})", (namespace, *part)
        )
        for place, blob in rows:
            lengths[place * _PART : (place + 1) * _PART] = np.frombuffer(blob, "<u4")
    return lengths


def write_lengths(
    connection: sqlite3.Connection, namespace: int, numbers: NDArray[np.int64], values: NDArray[np.int64]
) -> None:
    """Write the lengths of these documents."""
    lengths = read_lengths(connection, namespace, numbers)
    lengths[numbers] = values
    rows = (
        (namespace, part, lengths[part * _PART : (part + 1) * _PART].astype("<u4").tobytes())
        for part in np.unique(numbers // _PART).tolist()
    )
    connection.executemany("INSERT OR REPLACE INTO lengths VALUES (?, ?, ?)", rows)


def renumber(connection: sqlite3.Connection, namespace: int) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Number the documents that are there from 0; return their old numbers, in order, and the lengths by old number."""
    base = namespace << _SHIFT
    rows = connection.execute("SELECT document - ? FROM documents WHERE namespace = ? ORDER BY 1", (base, namespace))
    old = np.fromiter((row[0] for row in rows), np.int64)
    lengths = read_lengths(connection, namespace, old)
    moved = np.flatnonzero(old != np.arange(len(old)))
    connection.executemany(  # in ascending order, so that a number is free when it is given
        "UPDATE documents SET document = ? WHERE document = ?",
        zip((base + moved).tolist(), (base + old[moved]).tolist(), strict=True),
    )
    connection.execute("DELETE FROM lengths WHERE namespace = ?", (namespace,))
    write_lengths(connection, namespace, np.arange(len(old)), lengths[old].astype(np.int64))
    connection.execute("UPDATE namespaces SET written = ? WHERE namespace = ?", (len(old), namespace))
    return old, lengths


def _slices(values: Sequence[T]) -> Iterator[Sequence[T]]:
    return (values[start : start + _SLICE] for start in range(0, len(values), _SLICE))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
