"""The tables of the side-car in SQLite: namespaces, documents, postings, and the marks of writes that have begun.

Postings are rows of our own and not an FTS5 index, because bm25() of FTS5 does not compute what the other databases
do: its idf is clamped where more than half of the documents contain a token, and its counts go over the whole table,
so that one namespace would change the scores of another. A row is (token, namespace, document) with the occurrences
and the length of the document. One token of a query is one range of the primary key, and its number of rows is the
document frequency, which therefore is always right.

Kept per document are its length, a digest of its text, and its tokens, so that it can be removed again. Its text stays
in the database.
"""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Mapping

from dizuo.vectors.lexical.bm25 import add_shares, idf, postings
from dizuo.vectors.lexical.tokenizer import TOKENIZER, query_tokens

__all__ = ["FORMAT", "SCHEMA", "document_frequency", "forget_if_empty", "put", "scan", "scores", "text_digest"]

FORMAT = f"{TOKENIZER} postings-1"
SCHEMA = """
CREATE TABLE about (format TEXT NOT NULL);
CREATE TABLE namespaces (
  namespace INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,
  documents INTEGER NOT NULL DEFAULT 0, tokens INTEGER NOT NULL DEFAULT 0);
CREATE TABLE tokens (token INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE);
CREATE TABLE documents (
  document INTEGER PRIMARY KEY AUTOINCREMENT, namespace INTEGER NOT NULL, id TEXT NOT NULL,
  length INTEGER NOT NULL, digest BLOB NOT NULL, tokens BLOB NOT NULL, UNIQUE (namespace, id));
CREATE TABLE postings (
  token INTEGER NOT NULL, namespace INTEGER NOT NULL, document INTEGER NOT NULL,
  count INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (token, namespace, document)) WITHOUT ROWID;
CREATE TABLE marks (
  namespace TEXT NOT NULL, id TEXT NOT NULL, whole INTEGER NOT NULL, owner TEXT NOT NULL,
  PRIMARY KEY (namespace, id, whole)) WITHOUT ROWID;
"""
_ABSENT: tuple[int | None, int, bytes | None, bytes] = (None, 0, None, b"")
_SLICE = 500
"""Bound parameters of one statement; SQLite allows 32,766, older builds 999."""


def text_digest(text: str) -> bytes:
    """Return the digest of a text as `scan` yields it: BLAKE2b, 16 bytes."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def put(connection: sqlite3.Connection, name: str, documents: Mapping[str, str | None]) -> None:
    """Replace the texts of some documents of a namespace; None removes one. Runs inside the caller's transaction."""
    namespace = _namespace(connection, name, make=any(text is not None for text in documents.values()))
    if namespace is None:
        return
    held = dict(_held(connection, namespace, list(documents)))
    inserts: list[tuple[int, int, int, int, int]] = []
    removed: list[tuple[int, int, int]] = []
    change, tokens = 0, 0
    fresh: dict[str, tuple[int | None, bytes, dict[str, int], int]] = {}
    for id, text in documents.items():
        digest = None if text is None else text_digest(text)
        document, length, digest_before, packed = held.get(id, _ABSENT)
        if digest == digest_before:
            continue
        if document is not None:
            removed.extend((token, namespace, document) for token in array("q", packed))
        change -= bool(length)
        tokens -= length
        if text is None or digest is None:
            connection.execute("DELETE FROM documents WHERE document = ?", (document,))
        else:
            fresh[id] = (document, digest, *postings(text))
    connection.executemany("DELETE FROM postings WHERE token = ? AND namespace = ? AND document = ?", sorted(removed))
    numbers = _token_numbers(connection, {token for _, _, counts, _ in fresh.values() for token in counts})
    for id, (document, digest, counts, length) in fresh.items():
        packed = array("q", (numbers[token] for token in counts)).tobytes()
        if document is None:
            row = connection.execute(
                "INSERT INTO documents (namespace, id, length, digest, tokens) VALUES (?, ?, ?, ?, ?)",
                (namespace, id, length, digest, packed),
            )
            document = row.lastrowid or 0
        else:
            connection.execute(
                "UPDATE documents SET length = ?, digest = ?, tokens = ? WHERE document = ?",
                (length, digest, packed, document),
            )
        inserts.extend((numbers[token], namespace, document, count, length) for token, count in counts.items())
        change += bool(length)
        tokens += length
    inserts.sort()  # in the order of the primary key, so that neighbours are written together
    connection.executemany("INSERT INTO postings VALUES (?, ?, ?, ?, ?)", inserts)
    connection.execute(
        "UPDATE namespaces SET documents = documents + ?, tokens = tokens + ? WHERE namespace = ?",
        (change, tokens, namespace),
    )


def forget_if_empty(connection: sqlite3.Connection, name: str) -> None:
    """Remove a namespace that has no documents any more."""
    connection.execute(
        "DELETE FROM namespaces WHERE name = ? AND NOT EXISTS"
        " (SELECT 1 FROM documents WHERE documents.namespace = namespaces.namespace)",
        (name,),
    )


def scores(connection: sqlite3.Connection, name: str, query: str) -> dict[int, float]:
    """Return the score by document, of all documents of a namespace that share a token with the query."""
    row = connection.execute("SELECT namespace, documents, tokens FROM namespaces WHERE name = ?", (name,)).fetchone()
    if row is None or not row[1]:
        return {}
    namespace, documents, total = row
    average = total / documents
    document_scores: dict[int, float] = {}
    for token in query_tokens(query):  # always in the same order, so that equal documents get equal sums
        rows = connection.execute(
            "SELECT document, count, length FROM postings"
            " WHERE token = (SELECT token FROM tokens WHERE text = ?) AND namespace = ?",
            (token, namespace),
        ).fetchall()
        add_shares(document_scores, rows, idf(documents, len(rows)), average)
    return document_scores


def document_frequency(connection: sqlite3.Connection, name: str, token: str) -> int:
    """Return how many documents of a namespace contain a token."""
    row = connection.execute(
        "SELECT count(*) FROM postings WHERE token = (SELECT token FROM tokens WHERE text = ?)"
        " AND namespace = (SELECT namespace FROM namespaces WHERE name = ?)",
        (token, name),
    ).fetchone()
    return int(row[0])


def scan(connection: sqlite3.Connection, name: str, *, after: str | None, limit: int) -> list[tuple[str, bytes]]:
    """Return up to `limit` (id, digest of the text) of a namespace, in the order of ids, after a given one."""
    rows = connection.execute(
        "SELECT id, digest FROM documents WHERE namespace = (SELECT namespace FROM namespaces WHERE name = ?)"
        " AND (? IS NULL OR id > ?) ORDER BY id LIMIT ?",
        (name, after, after, limit),
    )
    return list(rows)


def _namespace(connection: sqlite3.Connection, name: str, *, make: bool) -> int | None:
    if make:
        connection.execute("INSERT INTO namespaces (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    row = connection.execute("SELECT namespace FROM namespaces WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _held(
    connection: sqlite3.Connection, namespace: int, ids: list[str]
) -> Iterator[tuple[str, tuple[int | None, int, bytes | None, bytes]]]:
    for part in _slices(ids):
        rows = connection.execute(
            "SELECT id, document, length, digest, tokens FROM documents"
            f" WHERE namespace = ? AND id IN ({_marks(part)})",
            (namespace, *part),
        )
        yield from ((id, (document, length, digest, packed)) for id, document, length, digest, packed in rows)


def _token_numbers(connection: sqlite3.Connection, texts: set[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    ordered = sorted(texts)
    for part in _slices(ordered):
        numbers.update(connection.execute(f"SELECT text, token FROM tokens WHERE text IN ({_marks(part)})", part))
    for text in ordered:
        if text not in numbers:
            numbers[text] = connection.execute("INSERT INTO tokens (text) VALUES (?)", (text,)).lastrowid or 0
    return numbers


def _slices(values: list[str]) -> Iterator[list[str]]:
    return (values[start : start + _SLICE] for start in range(0, len(values), _SLICE))


def _marks(values: Iterable[str]) -> str:
    return ", ".join("?" for _ in values)
