"""`sqlite://FOLDER`: one SQLite file in a folder, exact in everything. It needs no package beyond dizuo's own.

It is what a folder is where LanceDB is not installed. All vectors that match are compared: a search among 20,000 of 384
numbers reads 30 MB. From some 100,000 records on another database is faster; `dizuo vectors copy` moves there.

- Readers and one writer work at once (write-ahead log); writers of all processes take turns, each batch a transaction.
- A collection's records are in a table whose name ends in its mark, so a handle of one that was dropped finds nothing.
- A scan goes by pages of `id > last`: what is written meanwhile moves no other row.
- Words are in dizuo's side-car, in the folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dizuo.errors import VectorError
from dizuo.events import Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.connect import SQLITE_FILE as FILE
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, Transient
from dizuo.vectors.protocol.limits import Kind, Limit
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.writing.naming import new_generation

__all__ = ["STORE"]

_COLUMNS = {"vectors": "vector", "metadata": "metadata", "documents": "document"}
_PAGE = 4096
"""Rows that are read at once."""
_PARAMETERS = 500
"""Ids of one statement."""
_ALL = frozenset(_COLUMNS)


@dataclass(frozen=True, slots=True)
class Options:
    """How the file is used."""

    timeout: float = 60.0
    """Seconds to wait for another writer."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Store:
    """Return the collection in that folder, made where it is not there."""
    folder = Path(url.place or ".")
    may_make = request.create and request.dim is not None
    if not may_make and not (folder / FILE).exists():
        request.check_new()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise VectorError(f"the folder {folder} cannot be used: {error.strerror}") from None
    with _map_errors(folder):
        connection = sqlite3.connect(
            folder / FILE, timeout=options.timeout, isolation_level=None, check_same_thread=False
        )
    try:
        with _map_errors(folder):
            return _open_collection(connection, folder, request)
    except BaseException:
        connection.close()
        raise


def _open_collection(connection: sqlite3.Connection, folder: Path, request: CollectionRequest) -> Store:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    with _transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS collections (name TEXT PRIMARY KEY, dim INTEGER, metric TEXT, generation TEXT)"
        )
        held = connection.execute(
            "SELECT dim, metric, generation FROM collections WHERE name = ?", (request.collection,)
        ).fetchone()
        if held is not None:
            return SqliteStore(connection, folder, request.check_existing(held[0], held[1]), held[2])
        spec, generation = request.check_new(), new_generation()
        connection.execute(
            f"CREATE TABLE records_{generation} (namespace TEXT NOT NULL, id TEXT NOT NULL, vector BLOB NOT NULL, "
            "metadata TEXT NOT NULL, document TEXT, UNIQUE (namespace, id))"
        )
        connection.execute(
            "INSERT INTO collections VALUES (?, ?, ?, ?)", (spec.collection, spec.dim, spec.metric, generation)
        )
    return SqliteStore(connection, folder, spec, generation)


class SqliteStore:
    """A collection in a SQLite file; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 10_000
    batch_bytes = 64 * 2**20
    sidecar_folder: Path | None
    capabilities = Capabilities(
        atomic_batches=True,
        index=False,
        notes={"index": "compares all vectors, always", "lexical": "words are in dizuo's side-car"},
    )

    def __init__(self, connection: sqlite3.Connection, folder: Path, spec: CollectionSpec, generation: str) -> None:
        self.connection, self.folder, self.spec, self.generation = connection, folder, spec, generation
        self.table = f"records_{generation}"
        self.sidecar_folder = folder / "dizuo-lexical"

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        vectors = np.ascontiguousarray(block.vectors, "<f4")
        rows = zip(block.ids, vectors, block.metadata_texts, block.documents, strict=True)
        with self._writing():
            self.connection.executemany(
                f"INSERT INTO {self.table} VALUES (?, ?, ?, ?, ?) ON CONFLICT (namespace, id) DO UPDATE SET "
                "vector = excluded.vector, metadata = excluded.metadata, document = excluded.document",
                ((namespace, id, vector.tobytes(), text, document) for id, vector, text, document in rows),
            )

    def set_metadata(self, namespace: str, block: Block) -> int:
        with self._writing():
            done = self.connection.executemany(
                f"UPDATE {self.table} SET metadata = ? WHERE namespace = ? AND id = ?",
                [(text, namespace, id) for id, text in zip(block.ids, block.metadata_texts, strict=True)],
            )
            return done.rowcount

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        with self._writing():
            if ids is None and where is None:
                return self.connection.execute(f"DELETE FROM {self.table} WHERE namespace = ?", (namespace,)).rowcount
            if ids is None:
                ids = [id for block in self._pages(namespace, where, frozenset(), _PAGE) for id in block.ids]
            return self.connection.executemany(
                f"DELETE FROM {self.table} WHERE namespace = ? AND id = ?", [(namespace, id) for id in ids]
            ).rowcount

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        held: dict[str, tuple[Any, ...]] = {}
        with self._reading():
            for start in range(0, len(ids), _PARAMETERS):
                part = ids[start : start + _PARAMETERS]
                marks = ", ".join("?" * len(part))
                rows = self.connection.execute(
                    f"SELECT {_fields(columns)} FROM {self.table} WHERE namespace = ? AND id IN ({marks})",
                    (namespace, *part),
                )
                held |= {row[0]: row for row in rows}
        return self._to_block([held[id] for id in dict.fromkeys(ids) if id in held], columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        needed = columns | {"vectors"}
        blocks = self._pages(namespace, where, needed, _PAGE)
        found = find_nearest(blocks, queries, k=k, metric=self.spec.metric, columns=columns)
        return [replace(result, fetched=len(result)) for result in found]  # the engine is this process: none were sent

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        raise AssertionError("words are in the side-car")

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(namespace, self.namespaces, lambda name: self._pages(name, where, columns, rows))

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        if where is not None:
            names = [namespace] if namespace is not None else list(self.namespaces())
            return sum(len(block) for name in names for block in self._pages(name, where, frozenset(), _PAGE))
        chosen, values = ("", ()) if namespace is None else (" WHERE namespace = ?", (namespace,))
        with self._reading():
            found = self.connection.execute(f"SELECT count(*) FROM {self.table}{chosen}", values)
            return int(found.fetchone()[0])

    def namespaces(self) -> Mapping[str, int]:
        with self._reading():
            return dict(
                self.connection.execute(
                    f"SELECT namespace, count(*) FROM {self.table} GROUP BY namespace ORDER BY namespace"
                ).fetchall()
            )

    def _pages(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        """Yield the rows that match in the order of ids."""
        needed = columns if where is None else columns | {"metadata"}
        last = ""
        while True:
            with self._reading():
                page = self.connection.execute(
                    f"SELECT {_fields(needed)} FROM {self.table} WHERE namespace = ? AND id > ? ORDER BY id LIMIT ?",
                    (namespace, last, rows),
                ).fetchall()
            if page:
                yield from filter_blocks([self._to_block(page, needed)], where)
            if len(page) < rows:
                return
            last = page[-1][0]

    def _to_block(self, rows: Sequence[tuple[Any, ...]], columns: Columns) -> Block:
        parts = dict(zip(("ids", *sorted(columns)), zip(*rows, strict=True), strict=True)) if rows else {}
        vectors: Floats | None = None
        if "vectors" in columns:
            flat = np.frombuffer(b"".join(parts.get("vectors", ())), "<f4").astype(np.float32, copy=False)
            vectors = flat.reshape(len(rows), self.spec.dim)
        return Block(
            list(parts.get("ids", ())),
            vectors,
            list(parts.get("metadata", ())) if "metadata" in columns else None,
            list(parts.get("documents", ())) if "documents" in columns else None,
        )

    # ---- the collection

    def check(self) -> None:
        with _map_errors(self.folder):
            held = self._generation()
        if held != self.generation:
            raise CollectionGone(self.spec.collection, remade=held is not None)

    def refresh(self) -> None:
        """Nothing to do: what was committed is visible."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        self.check()
        with _map_errors(self.folder):
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.connection.execute("VACUUM")

    def info(self) -> EngineInfo:
        self.check()
        details = {"bytes": (self.folder / FILE).stat().st_size}
        return EngineInfo("SQLite", sqlite3.sqlite_version, "none", where=str(self.folder / FILE), details=details)

    def drop(self) -> None:
        with _map_errors(self.folder), _transaction(self.connection):
            held = self._generation()
            if held is not None and held != self.generation:
                raise CollectionGone(self.spec.collection, remade=True)
            self.connection.execute("DELETE FROM collections WHERE name = ?", (self.spec.collection,))
            self.connection.execute(f"DROP TABLE IF EXISTS {self.table}")

    def close(self) -> None:
        self.connection.close()

    # ---- inside

    def _generation(self) -> str | None:
        chosen = "SELECT generation FROM collections WHERE name = ?"
        with closing(self.connection.execute(chosen, (self.spec.collection,))) as found:
            row = found.fetchone()
        return None if row is None else str(row[0])

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with _map_errors(self.folder):
            try:
                yield
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    raise CollectionGone(self.spec.collection, remade=self._generation() is not None) from error
                raise

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading(), _transaction(self.connection):
            yield


def _fields(columns: Columns) -> str:
    return ", ".join(["id", *(_COLUMNS[column] for column in sorted(columns))])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Let no other process write; what was done is in as a whole, or not at all."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _map_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise Transient(f"{folder / FILE} is being written by another process", hint="try again") from error
        raise VectorError(
            f"{folder / FILE} cannot be used: {error}", hint="is the disk full, or the folder read-only?"
        ) from error
    except sqlite3.DatabaseError as error:
        raise VectorError(f"{folder / FILE} is no file of dizuo's: {error}", hint="use another folder") from error


def _limit(kind: Kind, theirs: str, ours: str = "compared in Python: any number") -> Limit:
    return Limit(kind, theirs, ours)


LIMITS = (
    _limit("conditions", "none: filters are not sent"),
    _limit("levels", "none: filters are not sent"),
    _limit("values", "none: filters are not sent"),
    _limit("answers", "none", "all that match are read page by page"),
    _limit("queries", "none", "all queries of a call share one reading"),
    _limit("namespaces", "none", "any number"),
    _limit("ids", "32,766 parameters of a statement (`SQLITE_MAX_VARIABLE_NUMBER`)", "500 in a statement"),
    _limit("request", "none: nothing is sent", "batches of 64 MB"),
    _limit("statement", "1,000,000 bytes (`SQLITE_MAX_SQL_LENGTH`)", "values are bound, and statements short"),
    _limit("id", "1,000,000,000 bytes (`SQLITE_MAX_LENGTH`)", "512 bytes, as everywhere"),
    _limit("keys", "1,000,000,000 bytes of metadata", "any number and length"),
    _limit("text", "1,000,000,000 bytes", "any length"),
)

STORE = Database(options=Options, open=open_store, limits=LIMITS, form="folder", extras=())
