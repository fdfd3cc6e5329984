"""`postgresql://user:password@host/database`: PostgreSQL with pgvector; records, words and counts in one transaction.

A collection is four tables: records, segments and postings (for BM25, `words.py`), and counts by namespace. Their names
have the mark of the collection in them, so those of one that was dropped are not found, and never those of the next.
Writers of one namespace take turns by an advisory lock from the moment their batch is on the server.

Facts that shaped this file (PostgreSQL 18, pgvector 0.8):

- A filtered HNSW search with defaults returned 1 row of 50. So `hnsw.iterative_scan` is set, and if few rows match or
  the answer is short, all rows that match are compared. Strict order drops what the scan finds late (recall 0.87 where
  10 % match and lie to one side); relaxed order over more rows, which are sorted afterwards, does not.
- HNSW takes at most 2,000 numbers, 4,000 as halfvec; beyond that everything is exact.
- `SET LOCAL` inside a transaction, so that a connection pooler in between hands no settings on.
- U+0000 is rejected in text and jsonb, so it is escaped (`filters.py`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Note, Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import LoginOptions
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import query_tokens
from dizuo.vectors.lexical.word_counts import count_words
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.stores.postgresql import tables as tables
from dizuo.vectors.stores.postgresql import wire as wire
from dizuo.vectors.stores.postgresql.filters import (
    compile_filter,
    escape_nul_texts,
    facts,
    to_facts_texts,
    unescape_nul,
)
from dizuo.vectors.stores.postgresql.limits import FILTERS, LIMITS
from dizuo.vectors.stores.postgresql.words import Words
from dizuo.vectors.writing.naming import find_generations, physical_name

__all__ = ["STORE"]

EXACT_ROWS = 50_000
"""Up to here all vectors are compared; beyond it `optimize` builds an index."""
FEW = 10_000
"""Matching rows up to which a filtered search compares all of them although there is an index."""
FIRST = 256
"""Records that a search by words with a filter looks at first."""
WIDER = 4
"""How many times k an index search looks at before it puts them in order."""
_DISTANCE = {"cosine": "<=>", "dot": "<#>", "l2": "<->"}
_OPS = {"cosine": "cosine", "dot": "ip", "l2": "l2"}


@dataclass(frozen=True, slots=True)
class Options(LoginOptions):
    """How a PostgreSQL database is used."""

    schema: str | None = None
    """Schema of the tables; the first of the search path unless set."""
    connect_timeout: int = 10
    """Seconds to wait for the server to answer."""
    sslmode: str | None = None
    """As in libpq: `disable`, `prefer`, `require`, `verify-full`."""
    ef_search: int = 200
    """Candidates that an index search keeps, 1 to 1000."""
    m: int = 16
    """Links of a point in the index, 2 to 100."""
    ef_construction: int = 128
    """Candidates while the index is built; at least twice m."""
    build_memory: str = "512MB"
    """maintenance_work_mem while the index is built; a build that outgrows it is many times slower."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Store:
    """Return the collection in that database, made where it is not there."""
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise MissingPackage("psycopg", purpose="postgresql://", install="dizuo[postgresql]") from None
    from dizuo.vectors.stores.postgresql.pool import Pool

    pool = Pool(url, connect_timeout=options.connect_timeout, sslmode=options.sslmode)
    try:
        with pool.connection() as connection, connection.transaction():
            return _open_collection(pool, connection, request, options)
    except BaseException:
        pool.close()
        raise


def _open_collection(pool: Any, connection: Any, request: CollectionRequest, options: Options) -> PostgresStore:
    name, schema = physical_name(request.collection, limit=40), options.schema
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"dizuo open {name}"])
    if connection.execute("SHOW server_encoding").fetchone()[0] != "UTF8":
        raise VectorError(f"the database {pool.shown} is not in UTF-8", hint="CREATE DATABASE … ENCODING 'UTF8'")
    existing = tables.find(connection, name, schema)
    if existing is not None:
        table, dim, comment = existing
        mark, _, metric = (comment or "").partition(":")
        if mark != "dizuo":
            raise VectorError(f"the table {table} in {pool.shown} was not made by dizuo", hint="use another collection")
        spec = request.check_existing(dim, metric)
        tables.upgrade(connection, tables.qualify(table, schema), spec.collection)
        return PostgresStore(pool, spec, options, name, table)
    spec = request.check_new()
    if spec.dim > PostgresStore.capabilities.max_dim:  # type: ignore[operator]
        raise VectorError(f"pgvector holds at most 16,000 numbers, not {spec.dim:,}")
    return PostgresStore(pool, spec, options, name, tables.make(connection, name, schema, spec, pool.shown))


class PostgresStore:
    """A collection in PostgreSQL; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 10_000
    batch_bytes = 32 * 2**20
    sidecar_folder: Path | None = None
    capabilities = Capabilities(atomic_batches=True, threads=True, max_dim=16_000, filters=FILTERS, lexical="portable")

    def __init__(self, pool: Any, spec: CollectionSpec, options: Options, name: str, table: str) -> None:
        self.pool, self.spec, self.options, self.name = pool, spec, options, name
        self.generation = find_generations(name, [table])[table]
        self.table, pool.collection = tables.qualify(table, options.schema), spec.collection
        self.words, self.counts = Words(self.table), tables.part(self.table, "counts")
        self.index = f'"{table}_hnsw"'
        self.known: tuple[float, bool] = (-60.0, False)
        self.mixed = False

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        texts = block.documents_arrow
        counted = count_words(texts) if texts.null_count < len(block) else None
        lengths = np.zeros(len(block), np.int64) if counted is None else counted.lengths
        rows = [
            wire.one_text(namespace),
            wire.text_fields(block.ids_arrow),
            wire.vector_fields(block.vectors),
            wire.text_fields(block.metadata_arrow),
            wire.json_fields(to_facts_texts(block.metadata_arrow)),
            wire.text_fields(escape_nul_texts(texts)),
            wire.int_fields(lengths),
        ]
        names = "namespace, id, vector, metadata, facts, document, length"
        with self.pool.connection() as connection, connection.transaction():
            self._lock_namespace(connection, namespace)
            # The old rows are removed first; then the new ones conflict with nothing and need no staging table.
            given = self.pool.texts(block.ids_arrow)
            _, gone = self._remove(connection, "t.namespace = %s AND t.id = ANY(%s::text[])", [namespace, given])
            numbers = np.empty(0, np.int64)
            if counted is None or not counted.words:
                wire.copy_rows(connection, f"{self.table} ({names})", rows, len(block))
            else:  # the numbers of the rows are drawn beforehand, since postings have them
                numbers = self._draw_numbers(connection, len(block))
                numbered = [wire.long_fields(numbers), *rows]
                wire.copy_rows(connection, f"{self.table} (row, {names})", numbered, len(block))
            self._add_to_counts(connection, namespace, len(block), int(np.count_nonzero(lengths)), int(lengths.sum()))
            self.words.write(connection, namespace, counted, numbers, gone)

    def _draw_numbers(self, connection: Any, number: int) -> NDArray[np.int64]:
        """Return so many new numbers of rows, ascending."""
        drawn = connection.execute(
            "SELECT array_agg(nextval(pg_get_serial_sequence(%s, 'row')::regclass)) FROM generate_series(1, %s)",
            [self.table, number],
        ).fetchone()[0]
        return np.sort(np.array(drawn, np.int64))

    def _lock_namespace(self, connection: Any, namespace: str) -> None:
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 1))", [f"dizuo write {self.table} {namespace}"]
        )

    def _remove(self, connection: Any, which: str, parameters: list[Any]) -> tuple[int, bytes]:
        """Remove records and subtract them from the counts.

        Returns:
            How many there were, and the numbers of those that had words, packed as int8.
        """
        with connection.cursor(binary=True) as cursor:
            cursor.execute(
                f"WITH old AS (DELETE FROM {self.table} t WHERE {which} RETURNING t.row, t.namespace, t.length),"
                f" counts AS (UPDATE {self.counts} c SET rows = c.rows - o.rows, documents = c.documents - o.documents,"
                " tokens = c.tokens - o.tokens FROM (SELECT namespace, count(*) AS rows,"
                " count(*) FILTER (WHERE length > 0) AS documents, sum(length) AS tokens FROM old GROUP BY namespace) o"
                " WHERE c.namespace = o.namespace)"
                " SELECT count(*), string_agg(int8send(row), ''::bytea) FILTER (WHERE length > 0) FROM old",
                parameters,
            )
            removed, gone = cursor.fetchone()
        return int(removed), bytes(gone or b"")

    def _add_to_counts(self, connection: Any, namespace: str, rows: int, documents: int, tokens: int) -> None:
        connection.execute(
            f"INSERT INTO {self.counts} AS c VALUES (%s, %s, %s, %s) ON CONFLICT (namespace) DO UPDATE SET"
            " rows = c.rows + excluded.rows, documents = c.documents + excluded.documents,"
            " tokens = c.tokens + excluded.tokens",
            [namespace, rows, documents, tokens],
        )

    def set_metadata(self, namespace: str, block: Block) -> int:
        texts = block.metadata_texts
        with self.pool.connection() as connection, connection.transaction():
            self._lock_namespace(connection, namespace)
            done = connection.execute(
                f"UPDATE {self.table} t SET metadata = u.metadata, facts = u.facts::jsonb"
                " FROM unnest(%s::text[], %s::text[], %s::text[]) AS u (id, metadata, facts)"
                " WHERE t.namespace = %s AND t.id = u.id",
                [block.ids, texts, [facts(text) for text in texts], namespace],
            )
            return int(done.rowcount)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        if ids is None:
            condition, parameters = compile_filter(where)
        else:
            condition, parameters = "t.id = ANY(%s::text[])", [list(ids)]
        which = f"t.namespace = %s AND {condition}"
        with self.pool.connection() as connection, connection.transaction():
            self._lock_namespace(connection, namespace)
            removed, gone = self._remove(connection, which, [namespace, *parameters])
            self.words.write(connection, namespace, None, np.empty(0, np.int64), gone)
            connection.execute(f"DELETE FROM {self.counts} WHERE namespace = %s AND rows = 0", [namespace])
            return removed

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        with self.pool.connection() as connection, connection.cursor(binary=True) as cursor:
            cursor.execute(
                f"SELECT {_select_list(columns)} FROM {self.table} WHERE namespace = %s AND id = ANY(%s::text[])",
                [namespace, list(ids)],
            )
            return self._to_block(cursor.fetchall(), columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, parameters = compile_filter(where)
        with self.pool.connection() as connection:
            matching = 0
            if not exact and self._has_index(connection):
                matching = self._count_up_to(connection, namespace, where)
            indexed = matching > FEW
            results = []
            for query in queries:
                result = None
                if indexed:
                    result = self._search_one(connection, namespace, query, k, condition, parameters, columns, True)
                if result is None or len(result.scores) < min(k, matching):
                    result = self._search_one(connection, namespace, query, k, condition, parameters, columns, False)
                results.append(result)
        return results

    def _search_one(
        self, connection: Any, namespace: str, query: Floats, k: int, condition: str, parameters: list[Any],
        columns: Columns, indexed: bool,
    ) -> SearchResult:  # fmt: skip
        """Return the result of one query, from the index or from all rows that match.

        Comparing the namespace of a row takes 80 ns, its distance 500. So, in collections without an index, it is left
        out until a row of another namespace is among the results; as long as there is none, they are the same.
        """
        distance, names = f"vector {_DISTANCE[self.spec.metric]} %s", _select_list(columns)
        which = f"namespace = %s AND {condition}"
        point = self.pool.vector(query)
        path: Literal["exact", "index"] = "index" if indexed else "exact"
        if not indexed:
            # No index is on the sum, so all rows that match are compared. Only the best are read as a whole. k is
            # written into the statement and is no parameter, so that the planner knows that it is small.
            mixed = self.mixed or self.known[1]
            statement = (
                f"WITH near AS MATERIALIZED (SELECT ctid AS place, ({distance}) + 0.0 AS distance FROM {self.table}"
                f" WHERE {which if mixed else condition} ORDER BY distance, id LIMIT {k})"
                f" SELECT {names}, namespace, distance FROM near JOIN {self.table} t ON t.ctid = near.place"
                " ORDER BY distance, id"
            )
            with connection.cursor(binary=True) as cursor:
                cursor.execute(statement, [point, *([namespace] if mixed else []), *parameters])
                rows = cursor.fetchall()
            if not mixed and any(row[-2] != namespace for row in rows):
                self.mixed = True
                return self._search_one(connection, namespace, query, k, condition, parameters, columns, indexed)
        else:
            # Relaxed order keeps what strict order drops as found too late; more than k rows are taken and then sorted.
            near = self._as_halfvec(distance) if self.spec.dim > 2000 else distance
            reach = min(1000, max(self.options.ef_search, WIDER * k))
            statement = (
                f"WITH near AS MATERIALIZED (SELECT {names}, {distance} AS distance FROM {self.table} WHERE {which}"
                f" ORDER BY {near} LIMIT %s) SELECT {names}, distance FROM near ORDER BY distance, id LIMIT %s"
            )
            with connection.transaction(), connection.pipeline(), connection.cursor(binary=True) as cursor:
                connection.execute("SET LOCAL hnsw.iterative_scan = relaxed_order")
                connection.execute(f"SET LOCAL hnsw.ef_search = {reach}")
                # Only the index gives the inner order without sorting.
                connection.execute("SET LOCAL enable_sort = off")
                cursor.execute(statement, [point, namespace, *parameters, point, WIDER * k, k])
                rows = cursor.fetchall()
        distances = np.array([row[-1] for row in rows], np.float64)
        scores = 1.0 - distances if self.spec.metric == "cosine" else -distances
        return SearchResult(self._to_block(rows, columns), scores, path, len(rows))

    def _as_halfvec(self, distance: str) -> str:
        return distance.replace("vector ", f"vector::halfvec({self.spec.dim}) ").replace("%s", "%s::halfvec")

    def _count_up_to(self, connection: Any, namespace: str, where: Filter | None) -> int:
        """Return how many rows match; beyond `FEW` it does not matter how many, so no more are counted."""
        if where is None:
            row = connection.execute(f"SELECT rows FROM {self.counts} WHERE namespace = %s", [namespace]).fetchone()
            return int(row[0]) if row else 0
        condition, parameters = compile_filter(where)
        inner = f"SELECT 1 FROM {self.table} WHERE namespace = %s AND {condition} LIMIT {FEW + 1}"
        counted = connection.execute(f"SELECT count(*) FROM ({inner}) AS few", [namespace, *parameters]).fetchone()
        return int(counted[0])

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        condition, parameters = compile_filter(where)
        hits: list[tuple[str, float]] = []
        with self.pool.connection() as connection, connection.transaction():
            # Postings and records are read one after the other, so both of one state.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            page = k if where is None else max(4 * k, FIRST)
            tokens = query_tokens(query)
            for found in self.words.ranked(connection, namespace, tokens, page, condition, parameters):
                hits += found
                if len(hits) >= k:
                    break
        hits = hits[:k]
        scores = np.array([score for _, score in hits], np.float64)
        return SearchResult(Block([id for id, _ in hits]), scores, "exact", len(hits))

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        condition, parameters = compile_filter(where)
        inside, space = ("true", []) if namespace is None else ("namespace = %s", [namespace])
        names = _select_list(columns) + (", namespace" if namespace is None else "")
        with self.pool.connection() as connection, connection.transaction():
            cursor = connection.cursor("dizuo_scan", binary=True)
            with cursor:
                cursor.execute(
                    f"SELECT {names} FROM {self.table} WHERE {inside} AND {condition}", [*space, *parameters]
                )
                while part := cursor.fetchmany(rows):
                    block = self._to_block(part, columns)
                    yield block.in_namespaces([row[-1] for row in part]) if namespace is None else block

    def _to_block(self, rows: list[Any], columns: Columns) -> Block:
        """Return rows as a block; a row is the id and then the columns in the order of `_select_list`."""
        held = dict(zip(_column_names(columns), zip(*rows, strict=True), strict=False)) if rows else {}
        vectors = metadata = documents = None
        if "vectors" in columns:
            dim = self.spec.dim
            vectors = wire.from_wire(held["vector"], dim) if rows else np.empty((0, dim), np.float32)
        if "metadata" in columns:
            metadata = list(held.get("metadata", ()))
        if "documents" in columns:
            documents = [None if text is None else unescape_nul(text) for text in held.get("document", ())]
        return Block(list(held.get("id", ())), vectors, metadata, documents)

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        condition, parameters = compile_filter(where)
        inside, space = ("true", []) if namespace is None else ("namespace = %s", [namespace])
        if where is None:
            statement = f"SELECT coalesce(sum(rows), 0)::bigint FROM {self.counts} WHERE {inside}"
        else:
            statement = f"SELECT count(*) FROM {self.table} WHERE {inside} AND {condition}"
        with self.pool.connection() as connection:
            return int(connection.execute(statement, [*space, *parameters]).fetchone()[0])

    def namespaces(self) -> dict[str, int]:
        with self.pool.connection() as connection:
            return dict(
                connection.execute(f"SELECT namespace, rows FROM {self.counts} WHERE rows > 0 ORDER BY 1").fetchall()
            )

    # ---- the collection

    def check(self) -> None:
        with self.pool.connection() as connection:
            tables.check(connection, self.name, self.options.schema, self.table, self.spec.collection)

    def refresh(self) -> None:
        pass

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        facts_index = f'"{self.index[1:-6]}_facts"'
        with self.pool.connection() as connection, tables.limit_waiting(connection, self.spec.collection):
            rows = int(connection.execute(f"SELECT coalesce(sum(rows), 0)::bigint FROM {self.counts}").fetchone()[0])
            if rows > 1000:
                connection.execute(
                    f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {facts_index} ON {self.table} USING gin (facts)"
                )
            index = (force_index or rows > EXACT_ROWS) and self.spec.dim <= 4000
            if index and not self._has_index(connection, fresh=True):
                watch(Note(f"building a vector index over {rows:,} rows"))
                kind = "vector" if self.spec.dim <= 2000 else f"(vector::halfvec({self.spec.dim}))"
                ops = f"{'vector' if self.spec.dim <= 2000 else 'halfvec'}_{_OPS[self.spec.metric]}_ops"
                schema = f'"{self.options.schema}".' if self.options.schema else ""
                connection.execute(f"DROP INDEX IF EXISTS {schema}{self.index}")  # an unfinished one
                connection.execute("SELECT set_config('maintenance_work_mem', %s, false)", [self.options.build_memory])
                connection.execute(
                    f"CREATE INDEX CONCURRENTLY {self.index} ON {self.table} USING hnsw ({kind} {ops})"
                    f" WITH (m = {self.options.m}, ef_construction = {self.options.ef_construction})"
                )
                connection.execute("RESET maintenance_work_mem")
            self._compact_words(connection)
            for table in (self.table, self.words.segments, self.words.postings, self.counts):
                connection.execute(f"VACUUM (ANALYZE) {table}")
            self._has_index(connection, fresh=True)

    def _compact_words(self, connection: Any) -> None:
        for (namespace,) in connection.execute(f"SELECT DISTINCT namespace FROM {self.words.segments}").fetchall():
            with connection.transaction():
                self._lock_namespace(connection, namespace)
                self.words.compact(connection, namespace)

    def _has_index(self, connection: Any, *, fresh: bool = False) -> bool:
        """Return whether there is a valid vector index; looked up again after 30 s, since others may build one."""
        if fresh or time.monotonic() - self.known[0] > 30:
            schema = f'"{self.options.schema}".' if self.options.schema else ""
            statement = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"
            row = connection.execute(statement, [f"{schema}{self.index}"]).fetchone()
            self.known = (time.monotonic(), bool(row and row[0]))
        return self.known[1]

    def info(self) -> EngineInfo:
        with self.pool.connection() as connection:
            indexed = self._has_index(connection, fresh=True)
            server, vector, size, rows = connection.execute(
                "SELECT current_setting('server_version'),"
                " (SELECT extversion FROM pg_extension WHERE extname = 'vector'),"
                f" pg_total_relation_size(%s), (SELECT coalesce(sum(rows), 0)::bigint FROM {self.counts})",
                [self.table],
            ).fetchone()
            scans = connection.execute(
                "SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = %s", [self.index.strip('"')]
            ).fetchone()
        details = {"bytes": size, "exact up to rows": EXACT_ROWS, "index scans": scans[0] if scans else 0}
        version = f"{server.split()[0]}, pgvector {vector}"
        name = self.table.replace('"', "")
        return EngineInfo("PostgreSQL", version, "hnsw" if indexed else "none", rows if indexed else 0, name, details)

    def drop(self) -> None:
        with self.pool.connection() as connection, connection.transaction():
            tables.drop(connection, self.name, self.options.schema, self.table, self.spec.collection)

    def close(self) -> None:
        self.pool.close()


def _column_names(columns: Columns) -> list[str]:
    held = {"vectors": "vector", "metadata": "metadata", "documents": "document"}
    return ["id", *(name for column, name in held.items() if column in columns)]


def _select_list(columns: Columns) -> str:
    return ", ".join(_column_names(columns))


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=())
