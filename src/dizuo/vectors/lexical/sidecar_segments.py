"""Segments of postings in the side-car: written whole, never changed, merged when there are many of a size.

Every write makes one segment: a row for each token, with the packed postings of the write's documents. A posting is 64
bits: the document's number, and below it how often the document has the token.

Eight segments of a size become one of the next size, as in a log-structured merge tree: a posting is written again once
for each size, and a search looks into few segments. Merging leaves out the postings of documents that are gone. When
more documents are gone than are there, all of the namespace is written anew, numbered from 0.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Sequence
from itertools import groupby, islice, repeat
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.lexical.sidecar_documents import read_lengths, renumber
from dizuo.vectors.lexical.word_counts import WordCounts

__all__ = ["add_segment", "compact", "find_postings", "keep_in_shape", "remove_segments"]

_COUNT_BITS = 24
_MOST = 2**_COUNT_BITS - 1
"""Occurrences of a token in one document that are counted."""
FANOUT = 8
"""Segments of a size that become one."""
SMALLEST = 512
"""Postings up to which segments are of the first size."""
KEEP = 5000
"""So many documents that are gone are not worth a compaction."""
_TOKENS = 20_000
"""Tokens that are merged at a time."""


def add_segment(connection: sqlite3.Connection, namespace: int, counted: WordCounts, first: int) -> None:
    """Write the postings of documents that are numbered from `first`."""
    if counted.words:
        keys = (counted.rows + first) << _COUNT_BITS | np.minimum(counted.counts, _MOST)
        segment = _begin_segment(connection, namespace, len(keys))
        _insert(connection, segment, counted.words, counted.starts, keys)


def find_postings(
    connection: sqlite3.Connection, namespace: int, token: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the documents that have a token, by number, and how often; also documents that are gone."""
    rows = connection.execute(
        "SELECT p.postings FROM segments AS s CROSS JOIN postings AS p ON p.segment = s.segment AND p.token = ?"
        " WHERE s.namespace = ?",
        (token, namespace),
    )
    keys = np.frombuffer(b"".join(row[0] for row in rows), "<i8")
    return keys >> _COUNT_BITS, keys & _MOST


def remove_segments(connection: sqlite3.Connection, namespace: int) -> None:
    """Remove all segments of a namespace."""
    for segment in _sizes(connection, namespace):
        _remove(connection, segment)


def keep_in_shape(connection: sqlite3.Connection, namespace: int) -> None:
    """Merge segments where there are many of a size, and compact where more documents are gone than are there."""
    written, rows = connection.execute(
        "SELECT written, rows FROM namespaces WHERE namespace = ?", (namespace,)
    ).fetchone()
    if written - rows > max(KEEP, rows):
        compact(connection, namespace)
        return
    by_class: dict[int, list[int]] = {}
    for segment, size in _sizes(connection, namespace).items():
        by_class.setdefault(_class_of(size), []).append(segment)
    chosen: list[int] = []
    for level in range(max(by_class, default=-1) + 1):
        same = by_class.get(level, [])
        if len(same) + bool(chosen) >= FANOUT:  # what is merged so far makes one of this size
            chosen += same
        elif chosen:
            break
    if chosen:
        sources = sorted(chosen)
        _merge(connection, namespace, sources, None)


def compact(connection: sqlite3.Connection, namespace: int) -> None:
    """Make one segment of all that is there in a namespace, and number its documents from 0."""
    sources = sorted(_sizes(connection, namespace))
    (written,) = connection.execute("SELECT written FROM namespaces WHERE namespace = ?", (namespace,)).fetchone()
    old, lengths = renumber(connection, namespace)
    # Postings name all documents that were ever written; the lengths end with the last one that is there.
    numbers = np.full(max(written, len(lengths)), -1, np.int64)
    numbers[old] = np.arange(len(old))
    _merge(connection, namespace, sources, numbers)


def _merge(
    connection: sqlite3.Connection, namespace: int, sources: Sequence[int], numbers: NDArray[np.int64] | None
) -> None:
    """Make one segment of several, without the postings of documents that are gone.

    Args:
        connection: inside a transaction.
        namespace: of the segments.
        sources: the segments, in the order in which they were written.
        numbers: new numbers of documents by old ones, −1 for those that are gone; None leaves them as they are.
    """
    segment, size = _begin_segment(connection, namespace, 0), 0
    cursors = [
        connection.execute("SELECT token, postings FROM postings WHERE segment = ? ORDER BY token", (source,))
        for source in sources
    ]
    # `sources` ascend, and heapq.merge keeps the order of equal tokens; SQLite orders text by its UTF-8, so do we.
    rows = groupby(heapq.merge(*cursors, key=lambda row: row[0].encode()), key=itemgetter(0))
    while part := [(token, b"".join(row[1] for row in held)) for token, held in islice(rows, _TOKENS)]:
        keys = np.frombuffer(b"".join(blob for _, blob in part), "<i8")
        documents = keys >> _COUNT_BITS
        if numbers is None:
            alive = read_lengths(connection, namespace, documents)[documents] > 0
        else:
            documents = numbers[documents]
            alive = documents >= 0
        before = np.concatenate([[0], np.cumsum(alive)])
        starts = before[np.cumsum([0, *(len(blob) // 8 for _, blob in part)])]
        kept = documents[alive] << _COUNT_BITS | keys[alive] & _MOST
        _insert(connection, segment, [token for token, _ in part], starts, kept)
        size += len(kept)
    for source in sources:
        _remove(connection, source)
    connection.execute("UPDATE segments SET postings = ? WHERE segment = ?", (size, segment))


def _begin_segment(connection: sqlite3.Connection, namespace: int, size: int) -> int:
    row = connection.execute("INSERT INTO segments (namespace, postings) VALUES (?, ?)", (namespace, size))
    return row.lastrowid or 0


def _insert(
    connection: sqlite3.Connection,
    segment: int,
    tokens: Sequence[str],
    starts: NDArray[np.int64],
    keys: NDArray[np.int64],
) -> None:
    """Write the postings of tokens that ascend; `starts` [tokens + 1] says where each one's begin."""
    import pyarrow as pa

    packed, ends = pa.py_buffer(keys.astype("<i8")), pa.py_buffer(8 * starts.astype(np.int64))
    values = pa.Array.from_buffers(pa.large_binary(), len(tokens), [None, ends, packed]).to_pylist()
    rows = zip(repeat(segment), tokens, values)
    connection.executemany("INSERT INTO postings VALUES (?, ?, ?)", (row for row in rows if row[2]))


def _remove(connection: sqlite3.Connection, segment: int) -> None:
    connection.execute("DELETE FROM postings WHERE segment = ?", (segment,))
    connection.execute("DELETE FROM segments WHERE segment = ?", (segment,))


def _sizes(connection: sqlite3.Connection, namespace: int) -> dict[int, int]:
    return dict(connection.execute("SELECT segment, postings FROM segments WHERE namespace = ?", (namespace,)))


def _class_of(size: int) -> int:
    level = 0
    while size > SMALLEST:
        size //= FANOUT
        level += 1
    return level
