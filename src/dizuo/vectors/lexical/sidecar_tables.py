"""The tables of the side-car in SQLite, and what is written to them and read from them.

    about         the format, and whether all of the database is indexed
    namespaces    by name: N, tokens, rows in `documents`, and how many document numbers were given
    documents     id and digest by number            (`sidecar_documents.py`)
    lengths       tokens by document number          (`sidecar_documents.py`)
    segments      the sizes of segments              (`sidecar_segments.py`)
    postings      packed, by segment and token       (`sidecar_segments.py`)
    marks         writes that have begun             (`sidecar.py`)

Postings are tables of our own and not an FTS5 index, because bm25() of FTS5 does not compute what the other databases
do: its idf is clamped where more than half of the documents contain a token, and its counts go over the whole table,
so that one namespace would change the scores of another.

N and the number of tokens are those of `namespaces`, which every write changes in its transaction. The document
frequency of a token is counted in a search: its postings whose document has a length.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.lexical import sidecar_documents as held_documents
from dizuo.vectors.lexical.bm25 import K1, B, idf
from dizuo.vectors.lexical.sidecar_segments import add_segment, find_postings, keep_in_shape, remove_segments
from dizuo.vectors.lexical.tokenizer import TOKENIZER, query_tokens
from dizuo.vectors.lexical.word_counts import count_words

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "FORMAT",
    "SCHEMA",
    "Scores",
    "document_frequency",
    "drop_namespace",
    "find_namespace",
    "has_texts",
    "put",
    "scores",
]

FORMAT = f"{TOKENIZER} segments-1"
SCHEMA = """
CREATE TABLE about (format TEXT NOT NULL, complete INTEGER NOT NULL);
CREATE TABLE namespaces (
  namespace INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, documents INTEGER NOT NULL DEFAULT 0,
  tokens INTEGER NOT NULL DEFAULT 0, rows INTEGER NOT NULL DEFAULT 0, written INTEGER NOT NULL DEFAULT 0);
CREATE TABLE documents (
  document INTEGER PRIMARY KEY, namespace INTEGER NOT NULL, id TEXT NOT NULL, digest BLOB NOT NULL,
  UNIQUE (namespace, id));
CREATE TABLE lengths (
  namespace INTEGER NOT NULL, part INTEGER NOT NULL, lengths BLOB NOT NULL,
  PRIMARY KEY (namespace, part)) WITHOUT ROWID;
CREATE TABLE segments (
  segment INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, postings INTEGER NOT NULL);
CREATE INDEX segments_of_namespace ON segments (namespace);
CREATE TABLE postings (
  segment INTEGER NOT NULL, token TEXT NOT NULL, postings BLOB NOT NULL,
  PRIMARY KEY (segment, token)) WITHOUT ROWID;
CREATE TABLE marks (
  mark INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL, ids TEXT, owner TEXT NOT NULL);
"""
"""`marks.ids` is a JSON list; null is the whole namespace."""

Scores: TypeAlias = "tuple[int, NDArray[np.integer], NDArray[np.float64]]"
"""A namespace's number, and documents of it by number, ascending, with their scores."""


def put(connection: sqlite3.Connection, name: str, ids: Sequence[str], documents: pa.StringArray) -> None:
    """Replace the texts of some documents of a namespace; null removes one. Runs inside the caller's transaction."""
    if documents.null_count < len(documents):
        connection.execute("INSERT INTO namespaces (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    row = connection.execute("SELECT namespace, rows, written FROM namespaces WHERE name = ?", (name,)).fetchone()
    if row is None:
        return
    namespace, rows, first = row
    held = held_documents.find(connection, namespace, ids) if rows else {}
    digests = held_documents.digests(documents)
    changed = [row for row, id in enumerate(ids) if digests[row] != held.get(id, (0, None))[1]]
    gone = [held[ids[row]][0] for row in changed if ids[row] in held]
    removed = held_documents.forget(connection, namespace, gone)
    fresh = {ids[row]: digest for row in changed if (digest := digests[row]) is not None}
    if fresh:
        if len(fresh) < len(ids):
            documents = documents.take([row for row in changed if digests[row] is not None])
        counted = count_words(documents)
        held_documents.insert(connection, namespace, first, list(fresh), list(fresh.values()))
        held_documents.write_lengths(connection, namespace, np.arange(first, first + len(fresh)), counted.lengths)
        add_segment(connection, namespace, counted, first)
    lengths = counted.lengths if fresh else np.empty(0, np.int64)
    connection.execute(
        "UPDATE namespaces SET documents = documents + ?, tokens = tokens + ?, rows = rows + ?, written = written + ?"
        " WHERE namespace = ?",
        (
            int(np.count_nonzero(lengths)) - int(np.count_nonzero(removed)),
            int(lengths.sum()) - int(removed.sum()),
            len(fresh) - len(gone),
            len(fresh),
            namespace,
        ),
    )
    if changed:
        keep_in_shape(connection, namespace)


def drop_namespace(connection: sqlite3.Connection, name: str) -> None:
    """Remove all that is known of a namespace."""
    namespace = find_namespace(connection, name)
    if namespace is not None:
        remove_segments(connection, namespace)
        for table in ("lengths", "documents", "namespaces"):
            connection.execute(f"DELETE FROM {table} WHERE namespace = ?", (namespace,))


def scores(connection: sqlite3.Connection, name: str, query: str) -> Scores:
    """Return the scores of all documents of a namespace that share a token with the query."""
    none: Scores = (0, np.empty(0, np.int64), np.empty(0))
    row = connection.execute("SELECT namespace, documents, tokens FROM namespaces WHERE name = ?", (name,)).fetchone()
    if row is None or not row[1]:
        return none
    namespace, living, tokens = row
    found = [find_postings(connection, namespace, token) for token in query_tokens(query)]
    everything = np.concatenate([np.empty(0, np.int64), *(numbers for numbers, _ in found)])
    lengths = held_documents.read_lengths(connection, namespace, everything)
    base, slope = K1 * (1 - B), K1 * B / (tokens / living)
    columns = []
    for numbers, counts in found:  # always in the same order, so that equal documents get equal sums
        alive = lengths[numbers] > 0
        numbers, count = numbers[alive], counts[alive].astype(np.float64)
        top = idf(living, len(numbers)) * (K1 + 1)
        columns.append((numbers, top * count / (count + base + slope * lengths[numbers])))
    if not any(len(numbers) for numbers, _ in columns):
        return none
    documents, shares = (np.concatenate(column) for column in zip(*columns, strict=True))
    sums = np.bincount(documents, shares).astype(np.float64)
    matching = np.flatnonzero(sums)
    return namespace, matching, sums[matching]


def document_frequency(connection: sqlite3.Connection, name: str, token: str) -> int:
    """Return how many documents of a namespace contain a token."""
    namespace = find_namespace(connection, name)
    if namespace is None:
        return 0
    numbers, _ = find_postings(connection, namespace, token)
    return int(np.count_nonzero(held_documents.read_lengths(connection, namespace, numbers)[numbers]))


def has_texts(connection: sqlite3.Connection, name: str) -> bool:
    """Return whether a namespace has a document, be it without a token."""
    row = connection.execute("SELECT rows FROM namespaces WHERE name = ?", (name,)).fetchone()
    return row is not None and row[0] > 0


def find_namespace(connection: sqlite3.Connection, name: str) -> int | None:
    """Return the number of a namespace, or None."""
    row = connection.execute("SELECT namespace FROM namespaces WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])
