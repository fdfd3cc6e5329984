"""A BM25 index in a file beside a database that has none. After a crash the two are brought in line again.

    with sidecar.begin("docs", ids) as write:      # 1  the ids are marked on disk
        database.upsert(...)                       # 2  the database is written
        write.commit(dict(zip(ids, texts)))        # 3  texts and marks change in one transaction

A process that dies between 1 and 3 leaves its mark behind. `pending()` finds it, and `repair(read)` asks the database
what became of those ids. A `with` block that ends without `commit` leaves its mark too, since nobody knows what the
database kept. A mark must survive a loss of power, so its transaction waits for the disk. That of the texts need not:
if it is lost, the mark is there.

A side-car is `complete` when all that its database held at first is indexed; whoever opens it sees to that.

Several processes may write. Marks are locks by id: a second writer of the same id waits for the first, so that the file
and the database see the two writes in the same order. The mark of a writer that died stops nobody. Each writer holds a
lock on a file of its own, which the operating system releases when the writer dies; process numbers could be reused.

Searching never waits. A search between 2 and 3 sees the texts as they were.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from dizuo.errors import VectorError
from dizuo.vectors.lexical import sidecar_documents, sidecar_tables, sidecar_upgrade
from dizuo.vectors.lexical.ranking import best_rows

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["LexicalSidecar", "Pending", "Write"]

_PATIENCE = 60.0
_POLL = 0.01
_PAGE = 1000
_APPLICATION = 0x44_5A_4C_58  # "DZLX", so that `file` and we know whose it is
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class Pending:
    """An id that was marked by a writer which is gone."""

    namespace: str
    id: str | None
    """None: the whole namespace was being dropped."""


class LexicalSidecar:
    """An index file. Threads may share one; every process opens its own.

    Args:
        path: the file; it is made where it does not exist. `PATH-wal`, `PATH-shm` and `PATH-writers` belong to it.
        patience: seconds to wait for another writer of the same ids.

    Raises:
        VectorError: the file is something else, or was written by other rules.
    """

    def __init__(self, path: str | Path, *, patience: float = _PATIENCE) -> None:
        self.path = Path(path).absolute()
        self.patience = patience
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._numbers = itertools.count()
        self._token = f"{secrets.token_hex(8)}"
        self._alive: FileLock | None = None
        self._writers = self.path.with_name(self.path.name + "-writers")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = self._open()

    def __enter__(self) -> LexicalSidecar:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; writes that are not committed become pending."""
        with self._lock:
            self._connection.close()
            if self._alive is not None:
                self._alive.release()
                (self._writers / self._token).unlink(missing_ok=True)
                self._alive = None

    def begin(self, namespace: str, ids: Iterable[str] = (), *, whole: bool = False, wordless: bool = False) -> Write:
        """Mark ids as being written, and return the write, to be used in a `with` block around that of the database.

        Args:
            namespace: of these ids.
            ids: what the database is about to upsert or delete.
            whole: the whole namespace is about to be dropped.
            wordless: nothing that is about to be written has a text. Where nothing that is there has one either, a mark
                that is lost with the power is not missed, and its transaction does not wait for the disk.

        Raises:
            VectorError: another writer has held one of the ids for longer than `patience`.
        """
        given = list(ids)
        wanted = None if whole else frozenset(given)
        give_up = time.monotonic() + self.patience
        owner = f"{self._token}:{next(self._numbers)}"
        durable = not wordless or self._has_texts(namespace)
        while True:
            with self._transaction(durable=durable) as connection:
                if not durable and sidecar_tables.has_texts(connection, namespace):  # written since it was looked up
                    durable = True
                    continue
                busy = self._take_over(connection, namespace, wanted)
                if busy is None:
                    self._announce()
                    mark = connection.execute(
                        "INSERT INTO marks (namespace, ids, owner) VALUES (?, ?, ?)",
                        (namespace, None if whole else _write_ids(given), owner),
                    ).lastrowid
                    return Write(self, namespace, mark or 0, wanted)
            if time.monotonic() > give_up:
                raise VectorError(
                    f"{busy} has been written by another process for more than {self.patience:g} s",
                    hint="let the other writer finish, or end it: what it leaves is repaired",
                )
            time.sleep(_POLL)

    def _has_texts(self, namespace: str) -> bool:
        with self._reading() as connection:
            return sidecar_tables.has_texts(connection, namespace)

    def upsert(self, namespace: str, documents: Mapping[str, str | None]) -> None:
        """Replace texts, for callers that have no database; None removes one."""
        with self.begin(namespace, documents) as write:
            write.commit(documents)

    def delete(self, namespace: str, ids: Iterable[str]) -> None:
        """Remove documents, for callers that have no database."""
        self.upsert(namespace, dict.fromkeys(ids))

    def drop(self, namespace: str) -> None:
        """Remove a whole namespace, for callers that have no database."""
        with self.begin(namespace, whole=True) as write:
            write.commit({})

    def pending(self) -> list[Pending]:
        """Return what writers have left that died or failed between `begin` and `commit`. Cheap if there is nothing."""
        with self._reading() as connection:
            rows = connection.execute("SELECT namespace, ids, owner FROM marks ORDER BY mark").fetchall()
        left: dict[Pending, None] = {}
        for name, ids, owner in rows:
            if not self._lives(owner):
                left.update(dict.fromkeys(Pending(name, id) for id in ([None] if ids is None else json.loads(ids))))
        return list(left)

    def repair(self, read: Callable[[str, list[str]], Mapping[str, str | None]]) -> int:
        """Index what the database holds of the ids that are pending, and return how many documents that were.

        Args:
            read: returns the texts that the database holds, given (namespace, ids); an id that it does not hold is
                left out.
        """
        looked = 0
        by_namespace: dict[str, list[str | None]] = {}
        for item in self.pending():
            by_namespace.setdefault(item.namespace, []).append(item.id)
        for namespace, items in by_namespace.items():
            ids = [id for id in items if id is not None]
            if None in items:
                with self.begin(namespace, whole=True) as write:
                    held = [id for id, _ in self.scan(namespace)]
                    ids = list(dict.fromkeys([*ids, *held]))
                    looked += self._align(write, namespace, ids, read)
                continue
            for start in range(0, len(ids), _PAGE):
                part = ids[start : start + _PAGE]
                with self.begin(namespace, part) as write:
                    looked += self._align(write, namespace, part, read)
        return looked

    def search(
        self, namespace: str, query: str, *, k: int, allowed: Container[str] | None = None
    ) -> list[tuple[str, float]]:
        """Return (id, score) of the k best documents that share a token with the query, best first, ties by id.

        Args:
            namespace: of the documents.
            query: any text.
            k: how many.
            allowed: the ids that may come back. Where these are not known, read `ranked` and check each hit.
        """
        hits = self.ranked(namespace, query, first=k)
        return list(itertools.islice((hit for hit in hits if allowed is None or hit[0] in allowed), max(0, k)))

    def ranked(self, namespace: str, query: str, *, first: int = 256) -> Iterator[tuple[str, float]]:
        """Yield (id, score) of all documents, best first; ids are looked up only as far as the caller reads.

        Args:
            namespace: of the documents.
            query: any text.
            first: how many hits the caller expects to read.
        """
        seen: set[str] = set()
        wanted = max(1, first)
        while True:
            page, last = self._best(namespace, query, wanted)
            yield from (hit for hit in page if hit[0] not in seen)
            if last:
                return
            seen.update(id for id, _ in page)
            wanted *= 4

    def _best(self, namespace: str, query: str, k: int) -> tuple[list[tuple[str, float]], bool]:
        """Return (id, score) of the k best and of what ties with the last, best first; and whether these are all."""
        with self._reading() as connection:
            connection.execute("BEGIN")  # one snapshot: otherwise a writer between two statements makes counts disagree
            try:
                place, numbers, scores = sidecar_tables.scores(connection, namespace, query)
                rows = best_rows(scores, k)
                ids = sidecar_documents.names(connection, place, numbers[rows].tolist())
            finally:
                connection.execute("ROLLBACK")
        hits = zip(numbers[rows].tolist(), scores[rows].tolist(), strict=True)
        found = sorted(((ids[number], score) for number, score in hits), key=lambda hit: (-hit[1], hit[0]))
        return found, len(rows) == len(scores)

    def scan(self, namespace: str) -> Iterator[tuple[str, bytes]]:
        """Yield (id, `text_digest` of its text) in the order of ids, to be compared with the database."""
        after = None
        while True:
            with self._reading() as connection:
                place = sidecar_tables.find_namespace(connection, namespace)
                rows = sidecar_documents.scan(connection, place or 0, after=after, limit=_PAGE)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = rows[-1][0]

    def namespaces(self) -> dict[str, int]:
        """Return by namespace how many documents have at least one token."""
        with self._reading() as connection:
            return dict(connection.execute("SELECT name, documents FROM namespaces ORDER BY name"))

    @property
    def complete(self) -> bool:
        """Whether all that the database held when this file was made is indexed; `mark_complete` says so."""
        with self._reading() as connection:
            return bool(connection.execute("SELECT complete FROM about").fetchone()[0])

    def mark_complete(self) -> None:
        """Note that all of the database is indexed."""
        with self._transaction(durable=True) as connection:
            connection.execute("UPDATE about SET complete = 1")

    def matching(self, namespace: str, token: str) -> int:
        """Return how many documents of a namespace contain a token."""
        with self._reading() as connection:
            return sidecar_tables.document_frequency(connection, namespace, token)

    def _align(
        self, write: Write, namespace: str, ids: list[str], read: Callable[[str, list[str]], Mapping[str, str | None]]
    ) -> int:
        now: dict[str, str | None] = {}
        for start in range(0, len(ids), _PAGE):
            part = ids[start : start + _PAGE]
            held = read(namespace, part)
            now.update((id, held.get(id)) for id in part)
        write.commit(now)
        return len(ids)

    def _take_over(self, connection: sqlite3.Connection, namespace: str, wanted: frozenset[str] | None) -> str | None:
        """Take these ids out of the marks of writers that are gone; if a living one holds any, return that in words.

        Args:
            connection: inside a transaction.
            namespace: of the ids.
            wanted: the ids, or None for the whole namespace.
        """
        rows = connection.execute("SELECT mark, ids, owner FROM marks WHERE namespace = ?", (namespace,)).fetchall()
        left: list[tuple[int, frozenset[str]]] = []
        for mark, held, owner in rows:
            ids = None if held is None else frozenset(json.loads(held))
            shared = ids if wanted is None else wanted if ids is None else ids & wanted
            if shared is not None and not shared:
                continue
            if self._lives(owner):
                return f"namespace {namespace!r}" if not shared else f"{min(shared)!r} in namespace {namespace!r}"
            if wanted is not None and ids is not None:  # a namespace that is repaired whole stays marked as such
                left.append((mark, ids - wanted))
        for mark, ids in left:
            _keep_marked(connection, mark, ids)
        return None

    def _lives(self, owner: str) -> bool:
        token = owner.partition(":")[0]
        if token == _NOBODY:
            return False
        if token == self._token:
            return True
        path = self._writers / token
        if not path.exists():
            return False
        lock = FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        path.unlink(missing_ok=True)
        lock.release()
        return False

    def _announce(self) -> None:
        """Take the lock that shows that this writer lives, before its first mark.

        Runs inside a write transaction, so that nobody removes a lock file that is made but not yet locked.
        """
        if self._alive is None:
            self._writers.mkdir(exist_ok=True)
            for left in self._writers.iterdir():
                self._lives(left.name)
            self._alive = FileLock(self._writers / self._token, thread_local=False)
            self._alive.acquire(timeout=0)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=self.patience, isolation_level=None, check_same_thread=False)
        with self._faults():
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("BEGIN IMMEDIATE")
                kind = connection.execute("PRAGMA application_id").fetchone()[0]
                empty = not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
                if empty:
                    for statement in sidecar_tables.SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.execute("INSERT INTO about VALUES (?, 0)", (sidecar_tables.FORMAT,))
                    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
                elif kind != _APPLICATION:
                    raise VectorError(
                        f"{self.path} is an SQLite file, but no lexical index of dizuo", hint="name another file"
                    )
                written = connection.execute("SELECT format FROM about").fetchone()[0]
                if written == sidecar_upgrade.FORMAT:
                    sidecar_upgrade.upgrade(connection)
                    written = sidecar_tables.FORMAT
                if written != sidecar_tables.FORMAT:
                    raise VectorError(
                        f"{self.path} was written as {written!r}, and this version reads {sidecar_tables.FORMAT!r}",
                        hint="remove the file and build it again from the database",
                    )
                connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
        return connection

    @contextmanager
    def _transaction(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Open a write transaction; a durable one is on the disk when it ends, another only survives a `kill -9`."""
        with self._reading() as connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            raise VectorError(f"{self.path} was opened before this process was forked", hint="open it in each process")
        with self._lock, self._faults():
            yield self._connection

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise VectorError(
                f"the lexical index {self.path} cannot be used: {error}",
                hint="check that the file is whole, the disk has room and no other program holds it",
            ) from error
        except UnicodeEncodeError as error:
            raise VectorError(
                f"{error.object!r} has a lone surrogate in it, which UTF-8 cannot hold", hint="repair the text"
            ) from error


class Write:
    """A write that has begun, from `LexicalSidecar.begin`; `ids` is None where it is of a whole namespace."""

    def __init__(self, sidecar: LexicalSidecar, namespace: str, mark: int, ids: frozenset[str] | None) -> None:
        self._sidecar, self._mark, self._ids = sidecar, mark, ids
        self._open = True
        self.namespace = namespace

    def commit(self, documents: Mapping[str, str | None]) -> None:
        """Index what the database holds now, and take these ids out of the mark.

        Args:
            documents: the text by id, None for an id that is gone. An id that was marked and is missing here, such as
                one that the database refused, stays pending. A drop is committed with `{}`.
        """
        import pyarrow as pa

        texts = [None if text is None else text.encode("utf-8", "replace").decode() for text in documents.values()]
        self.commit_columns(list(documents), pa.array(texts, pa.string()))

    def commit_columns(self, ids: Sequence[str], documents: pa.StringArray) -> None:
        """Do what `commit` does, of columns.

        Args:
            ids: distinct.
            documents: their texts, null for an id that is gone.
        """
        left = frozenset() if self._ids is None else self._ids.difference(ids)
        if self._ids is not None and len(left) != len(self._ids) - len(ids):
            raise AssertionError(f"{sorted(set(ids) - self._ids)[:3]} were not marked")
        with self._sidecar._transaction(durable=False) as connection:
            if self._ids is None:
                sidecar_tables.drop_namespace(connection, self.namespace)
            if len(ids):
                sidecar_tables.put(connection, self.namespace, ids, documents)
            if self._ids is None:
                connection.execute("DELETE FROM marks WHERE namespace = ?", (self.namespace,))
            else:
                _keep_marked(connection, self._mark, left)
        self._ids, self._open = left, bool(left)

    def __enter__(self) -> Write:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open:
            with self._sidecar._transaction(durable=True) as connection:  # what is left has no living writer now
                connection.execute("UPDATE marks SET owner = ? WHERE mark = ?", (_NOBODY, self._mark))


def _write_ids(ids: Sequence[str]) -> str:
    return json.dumps(ids, ensure_ascii=False)


def _keep_marked(connection: sqlite3.Connection, mark: int, ids: frozenset[str]) -> None:
    """Leave these ids in a mark, and remove it if there are none."""
    if ids:
        connection.execute("UPDATE marks SET ids = ? WHERE mark = ?", (_write_ids(sorted(ids)), mark))
    else:
        connection.execute("DELETE FROM marks WHERE mark = ?", (mark,))
