"""A side-car that an earlier version wrote, with a row for each posting, becomes one of today's, in one transaction."""

from __future__ import annotations

import json
import sqlite3
from itertools import groupby
from operator import itemgetter

import numpy as np

from dizuo.vectors.lexical import sidecar_documents
from dizuo.vectors.lexical.sidecar_segments import add_segment
from dizuo.vectors.lexical.sidecar_tables import FORMAT as TODAY
from dizuo.vectors.lexical.sidecar_tables import SCHEMA
from dizuo.vectors.lexical.word_counts import WordCounts

__all__ = ["FORMAT", "upgrade"]

FORMAT = "dizuo-1 postings-1"
_OLD = ("about", "namespaces", "tokens", "documents", "postings", "marks")


def upgrade(connection: sqlite3.Connection) -> None:
    """Write all that the old tables hold into new ones, inside the caller's transaction.

    The new file is not `complete`: the old ones did not say whether all of their database was indexed.
    """
    for table in _OLD:
        connection.execute(f"ALTER TABLE {table} RENAME TO old_{table}")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    connection.execute("INSERT INTO about VALUES (?, 0)", (TODAY,))
    for namespace, name in connection.execute("SELECT namespace, name FROM old_namespaces").fetchall():
        _upgrade_namespace(connection, namespace, name)
    marks = connection.execute("SELECT namespace, id, whole, owner FROM old_marks").fetchall()
    connection.executemany(
        "INSERT INTO marks (namespace, ids, owner) VALUES (?, ?, ?)",
        [(name, None if whole else json.dumps([id]), owner) for name, id, whole, owner in marks],
    )
    for table in _OLD:
        connection.execute(f"DROP TABLE old_{table}")


def _upgrade_namespace(connection: sqlite3.Connection, namespace: int, name: str) -> None:
    rows = connection.execute(
        "SELECT document, id, digest, length FROM old_documents WHERE namespace = ? ORDER BY document", (namespace,)
    ).fetchall()
    old = np.array([row[0] for row in rows], np.int64)
    lengths = np.array([row[3] for row in rows], np.int64)
    connection.execute(
        "INSERT INTO namespaces VALUES (?, ?, ?, ?, ?, ?)",
        (namespace, name, int(np.count_nonzero(lengths)), int(lengths.sum()), len(rows), len(rows)),
    )
    sidecar_documents.insert(connection, namespace, 0, [row[1] for row in rows], [row[2] for row in rows])
    sidecar_documents.write_lengths(connection, namespace, np.arange(len(rows)), lengths)
    postings = connection.execute(
        "SELECT t.text, p.document, p.count FROM old_tokens AS t CROSS JOIN old_postings AS p ON p.token = t.token"
        " WHERE p.namespace = ? ORDER BY t.text",
        (namespace,),
    )
    words, starts, held = [], [0], [np.empty((0, 2), np.int64)]
    for word, part in groupby(postings, key=itemgetter(0)):
        words.append(word)
        held.append(np.array([row[1:] for row in part], np.int64))
        starts.append(starts[-1] + len(held[-1]))
    pairs = np.concatenate(held)
    numbers = np.searchsorted(old, pairs[:, 0])
    add_segment(connection, namespace, WordCounts(words, np.array(starts), numbers, pairs[:, 1], lengths), 0)
