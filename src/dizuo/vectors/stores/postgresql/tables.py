"""The tables of a collection in PostgreSQL: found, made, looked for, dropped.

`NAME_gMARK` has the records, `…_segments` and `…_postings` the words, `…_counts` the counts by namespace. The mark is
drawn when they are made. Somebody who drops the collection and makes it anew gets other tables, so a statement of an
older handle finds no table, and never the wrong one. (`NAME` without a mark is a collection from before there were
marks. `…_words` is a row for each posting, from before there were segments.)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dizuo.errors import VectorError
from dizuo.vectors.lexical.packed_postings import COUNT_BITS
from dizuo.vectors.protocol.collection import CollectionSpec
from dizuo.vectors.protocol.errors import CollectionGone
from dizuo.vectors.writing.naming import generation_name, new_generation

__all__ = ["check", "drop", "find", "limit_waiting", "make", "part", "qualify", "upgrade"]

LOCKED = 30
"""Seconds that a drop, or the building of an index, waits for those who read or write the collection."""


def find(connection: Any, name: str, schema: str | None) -> tuple[str, int, str | None] | None:
    """Return the name, the dimension and the comment of a collection's table; None where there is no such collection.

    Args:
        connection: to the database.
        name: the physical name of the collection, without its mark.
        schema: of the tables; all of the search path unless given.
    """
    row: tuple[str, int, str | None] | None = connection.execute(
        "SELECT c.relname, a.atttypmod, obj_description(c.oid, 'pg_class') FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'vector' WHERE c.relkind = 'r' AND c.relname ~ %s"
        + (" AND c.relnamespace = to_regnamespace(%s)" if schema else " AND pg_table_is_visible(c.oid)")
        + " ORDER BY c.relname LIMIT 1",
        [f"^{name}(_g[0-9a-f]{{8}})?$", *([f'"{schema}"'] if schema else [])],
    ).fetchone()
    return row


def make(connection: Any, name: str, schema: str | None, spec: CollectionSpec, shown: str) -> str:
    """Make the tables of a new collection, and return the name of the first.

    Args:
        connection: to the database.
        name: the physical name of the collection, without its mark.
        schema: of the tables; it is made if it does not exist.
        spec: the collection.
        shown: the address, for messages.
    """
    import psycopg

    from dizuo.vectors.stores.postgresql.pool import register_types

    try:
        if schema:
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('dizuo extension', 0))")
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        register_types(connection)
    except psycopg.errors.InsufficientPrivilege:
        raise VectorError(f"the extension vector is not in {shown}", hint="CREATE EXTENSION vector") from None
    except psycopg.errors.FeatureNotSupported as error:
        raise VectorError("the server has no pgvector", hint="install the package pgvector beside it") from error
    plain = generation_name(name, new_generation())
    table = qualify(plain, schema)
    counts = part(table, "counts")
    for statement in (
        f'CREATE TABLE {table} (row bigint GENERATED ALWAYS AS IDENTITY UNIQUE, namespace text COLLATE "C" NOT NULL,'
        f' id text COLLATE "C" NOT NULL, vector vector({spec.dim}) NOT NULL, metadata text NOT NULL,'
        f" facts jsonb NOT NULL, document text, length int NOT NULL, PRIMARY KEY (namespace, id))",
        f"ALTER TABLE {table} ALTER COLUMN vector SET STORAGE EXTERNAL",  # floats do not compress
        *_make_words(table),
        f'CREATE TABLE {counts} (namespace text COLLATE "C" PRIMARY KEY, rows bigint NOT NULL,'
        f" documents bigint NOT NULL, tokens bigint NOT NULL)",
        f"COMMENT ON TABLE {table} IS 'dizuo:{spec.metric}'",
    ):
        connection.execute(statement)
    return plain


def _make_words(table: str) -> tuple[str, ...]:
    """Return the statements that make the tables of words beside a quoted table."""
    segments, postings = part(table, "segments"), part(table, "postings")
    return (
        f"CREATE TABLE {segments} (segment bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
        f' namespace text COLLATE "C" NOT NULL, postings bigint NOT NULL, gone bytea NOT NULL)',
        f"CREATE INDEX ON {segments} (namespace)",
        f'CREATE TABLE {postings} (segment bigint NOT NULL, token text COLLATE "C" NOT NULL, postings bytea NOT NULL,'
        " PRIMARY KEY (segment, token))",
        # To compress them takes longer than to write them.
        f"ALTER TABLE {segments} ALTER COLUMN gone SET STORAGE EXTERNAL",
        f"ALTER TABLE {postings} ALTER COLUMN postings SET STORAGE EXTERNAL",
    )


def upgrade(connection: Any, table: str, collection: str) -> None:
    """Pack the postings of a collection that an earlier version made, in one segment for each namespace.

    A process of that version that has the collection open is told that it is gone, and writes nothing any more.

    Args:
        connection: to the database, in a transaction.
        table: the quoted name of the first table.
        collection: the collection's own name.

    Raises:
        VectorError: somebody reads or writes its words all the time.
    """
    segments, postings, words = part(table, "segments"), part(table, "postings"), part(table, "words")
    old, new = connection.execute(
        "SELECT to_regclass(%s) IS NOT NULL, to_regclass(%s) IS NOT NULL", [words, segments]
    ).fetchone()
    if new or not old:
        return
    with limit_waiting(connection, collection):
        connection.execute(f"LOCK TABLE {words} IN ACCESS EXCLUSIVE MODE")
    for statement in _make_words(table):
        connection.execute(statement)
    connection.execute(
        f"INSERT INTO {segments} (namespace, postings, gone)"
        f" SELECT namespace, count(*), ''::bytea FROM {words} GROUP BY namespace"
    )
    packed = f"int8send(w.row << {COUNT_BITS} | least(w.count, {2**COUNT_BITS - 1})) || int4send(t.length)"
    connection.execute(
        f"INSERT INTO {postings} (segment, token, postings)"
        f" SELECT s.segment, w.token, string_agg({packed}, ''::bytea ORDER BY w.row) FROM {words} w"
        f" JOIN {table} t ON t.row = w.row JOIN {segments} s ON s.namespace = w.namespace GROUP BY 1, 2 ORDER BY 1, 2"
    )
    connection.execute(f"DROP TABLE {words}")


def check(connection: Any, name: str, schema: str | None, table: str, collection: str) -> None:
    """Raise `CollectionGone` where a collection's table is not there any more.

    Args:
        connection: to the database.
        name: the physical name of the collection, without its mark.
        schema: of the tables.
        table: the quoted name of the first.
        collection: the collection's own name.
    """
    if not connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table]).fetchone()[0]:
        raise CollectionGone(collection, remade=find(connection, name, schema) is not None)


def drop(connection: Any, name: str, schema: str | None, table: str, collection: str) -> None:
    """Remove a collection's tables, if they are there; the arguments are those of `check`.

    Raises:
        CollectionGone: there are other tables of this collection now, which stay.
        VectorError: somebody reads or writes them all the time.
    """
    there = find(connection, name, schema)
    if there is not None and qualify(there[0], schema) != table:
        raise CollectionGone(collection, remade=True)
    with limit_waiting(connection, collection):
        for one in (table, *(part(table, what) for what in ("segments", "postings", "words", "counts"))):
            connection.execute(f"DROP TABLE IF EXISTS {one}")


@contextmanager
def limit_waiting(connection: Any, collection: str) -> Iterator[None]:
    """Let statements wait for other users of a collection's tables for a while, and not for ever.

    A scan that is not over reads the tables in a transaction of its own, perhaps in the very thread that waits here.

    Raises:
        VectorError: somebody was reading or writing all the time.
    """
    import psycopg

    connection.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCKED}s"])
    try:
        yield
    except psycopg.errors.LockNotAvailable:
        raise VectorError(
            f"the collection {collection!r} was being read or written for {LOCKED} s",
            hint="end the scans and writes that are under way, and do it again then",
        ) from None
    finally:
        states = psycopg.pq.TransactionStatus
        if connection.info.transaction_status in (states.IDLE, states.INTRANS):  # a failed one takes it back itself
            connection.execute("RESET lock_timeout")


def qualify(table: str, schema: str | None) -> str:
    """Return the quoted name of a table."""
    return f'"{schema}"."{table}"' if schema else f'"{table}"'


def part(table: str, what: str) -> str:
    """Return the quoted name of a table beside a quoted one, such as that of the words."""
    return f'{table[:-1]}_{what}"'
