"""A store with a BM25 side-car, for databases that cannot search by words, or not exactly.

Every write is marked in the side-car before it goes to the database, and indexed after it. What a crash leaves marked
is read from the database before the next search by words. `optimize` compares all of the side-car with the database;
so does opening it, as long as the side-car is new and the database may hold what it does not: that can be killed and
goes on where it was, and one process does it while the others wait.

A side-car's file has the mark of its collection in its name. So what another collection of the same name has left is
never taken for its words; and a database that was moved without its side-car gets a new one, made of what it holds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from filelock import FileLock

from dizuo.events import Finished, Note, Progress, Started, Watcher, ignore
from dizuo.vectors.filters.matching import matcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical.sidecar import LexicalSidecar
from dizuo.vectors.lexical.sidecar_documents import text_digest
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import EngineInfo
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.writing.naming import find_generations, generation_name, physical_name

__all__ = ["WithSidecar"]

_DOCUMENTS: Columns = frozenset({"documents"})
_METADATA: Columns = frozenset({"metadata"})


class WithSidecar:
    """A store, and a side-car that indexes the words of its documents.

    Args:
        store: keeps the records.
        folder: has one file per collection.
        watch: is told when what the database holds already has to be indexed.
    """

    def __init__(self, store: Store, folder: Path, *, watch: Watcher = ignore) -> None:
        self.inner = store
        self.spec = store.spec
        self.batch_rows, self.batch_bytes = store.batch_rows, store.batch_bytes
        self.sidecar_folder: Path | None = folder
        self.capabilities = replace(
            store.capabilities, lexical="side-car", words="exact", words_cover="namespace", threads=False
        )
        self.generation = store.generation
        name = physical_name(store.spec.collection)
        self.path = folder / f"{generation_name(name, self.generation)}.sqlite"
        if folder == store.sidecar_folder:  # in a folder that somebody names, others may be of another database
            _remove_others(self.path, name)
        self.words = LexicalSidecar(self.path)
        try:
            self._repair()
            self._complete(watch)
        except BaseException:
            self.words.close()
            raise

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        texts = block.documents_arrow
        with self.words.begin(namespace, block.ids, wordless=texts.null_count == len(block)) as write:
            self.inner.upsert(namespace, block, wait=wait)
            write.commit_columns(block.ids, texts)

    def set_metadata(self, namespace: str, block: Block) -> int:
        return self.inner.set_metadata(namespace, block)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        if ids is None and where is None:
            with self.words.begin(namespace, whole=True) as write:
                removed = self.inner.delete(namespace, ids=None, where=None)
                write.commit({})
            return removed
        if ids is None:
            matching = self.inner.scan(namespace, where=where, columns=frozenset(), rows=self.batch_rows)
            ids = [id for block in matching for id in block.ids]
        removed = 0
        for start in range(0, len(ids), self.batch_rows):
            part = list(ids[start : start + self.batch_rows])
            with self.words.begin(namespace, part) as write:
                removed += self.inner.delete(namespace, ids=part, where=None)
                write.commit(dict.fromkeys(part))
        return removed

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        self._repair()
        if where is None:
            hits = self.words.search(namespace, query, k=k)
            fetched = len(hits)
        else:
            hits, fetched = self._search_filtered(namespace, query, k, where)
        return SearchResult(Block([id for id, _ in hits]), np.array([score for _, score in hits]), "exact", fetched)

    def _search_filtered(
        self, namespace: str, query: str, k: int, where: Filter
    ) -> tuple[list[tuple[str, float]], int]:
        """Return the k best that match the filter, and how many rows were read.

        If few match, the database lists their ids; otherwise the metadata of the best is read page by page.
        """
        ranked = self.words.ranked(namespace, query, first=4 * k)
        matching = self.inner.count(namespace, where=where)
        if matching <= 10 * k:
            blocks = self.inner.scan(namespace, where=where, columns=frozenset(), rows=self.batch_rows)
            allowed = {id for block in blocks for id in block.ids}
            return list(islice((hit for hit in ranked if hit[0] in allowed), k)), len(allowed)
        matches = matcher(where)
        hits: list[tuple[str, float]] = []
        fetched = 0
        while len(hits) < k and (page := list(islice(ranked, min(self.batch_rows, 4 * k)))):
            block = self.inner.fetch(namespace, [id for id, _ in page], columns=_METADATA)
            fetched += len(block)
            allowed = {id for id, row in zip(block.ids, block.metadata, strict=True) if matches(row)}
            hits += [hit for hit in page if hit[0] in allowed]
        return hits[:k], fetched

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        self.inner.optimize(force_index=force_index, watch=watch)
        self._align_all(watch)

    def _complete(self, watch: Watcher) -> None:
        """Index what the database held before it had this side-car, unless that is done."""
        if self.words.complete:
            return
        with FileLock(f"{self.path}-complete.lock"):
            if not self.words.complete:
                self._align_all(watch)
                self.words.mark_complete()

    def _align_all(self, watch: Watcher) -> None:
        """Index what differs in the side-car; tell the watcher of it if there is anything to be read."""
        began, rows = time.monotonic(), self.inner.namespaces()
        if rows and not self.words.namespaces():
            watch(Note(f"indexing the words of what is in {self.spec.collection!r} already, in {self.path}"))
        watch(Started("index words", sum(rows.values()), "rows"))
        done = changed = 0
        for name in {**rows, **self.words.namespaces()}:
            for read, indexed in self._align(name):
                done, changed = done + read, changed + indexed
                watch(Progress("index words", done, sum(rows.values()), "rows"))
        watch(Finished("index words", time.monotonic() - began, f"{changed:,} of {done:,} rows were indexed"))

    def _align(self, namespace: str) -> Iterator[tuple[int, int]]:
        """Read all of a namespace and index what differs in the side-car: others may have written to the database.

        Yields how many rows were read, and how many of these were indexed.
        """
        held = dict(self.words.scan(namespace))
        for block in self.inner.scan(namespace, where=None, columns=_DOCUMENTS, rows=self.batch_rows):
            texts = dict(zip(block.ids, block.documents, strict=True))
            other = {id: text for id, text in texts.items() if text and held.pop(id, None) != text_digest(text)}
            gone = [id for id, text in texts.items() if not text and held.pop(id, None) is not None]
            if other or gone:
                self._reread(namespace, [*other, *gone])
            yield len(block), len(other) + len(gone)
        if held:
            self._reread(namespace, list(held))
            yield 0, len(held)

    def _reread(self, namespace: str, ids: list[str]) -> None:
        for start in range(0, len(ids), self.batch_rows):
            part = ids[start : start + self.batch_rows]
            with self.words.begin(namespace, part) as write:  # from here on no other writer changes these
                now = self._read(namespace, part)
                write.commit({id: now.get(id) for id in part})

    def _repair(self) -> None:
        self.words.repair(self._read)

    def _read(self, namespace: str, ids: list[str]) -> Mapping[str, str | None]:
        block = self.inner.fetch(namespace, ids, columns=_DOCUMENTS)
        return dict(zip(block.ids, block.documents, strict=True))

    def drop(self) -> None:
        self.inner.drop()
        _remove(self.path)

    def close(self) -> None:
        self.inner.close()
        self.words.close()

    # ---- what the store does itself

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        return self.inner.fetch(namespace, ids, columns=columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        return self.inner.search(namespace, queries, k=k, where=where, exact=exact, columns=columns)

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return self.inner.scan(namespace, where=where, columns=columns, rows=rows)

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        return self.inner.count(namespace, where=where)

    def namespaces(self) -> Mapping[str, int]:
        return self.inner.namespaces()

    def check(self) -> None:
        self.inner.check()

    def refresh(self) -> None:
        self.inner.refresh()

    def info(self) -> EngineInfo:
        return self.inner.info()


def _remove_others(path: Path, name: str) -> None:
    """Remove the side-cars of collections that were here before under the same name."""
    files = {file.stem: file for file in path.parent.glob(f"{name}*.sqlite")}
    for stem in find_generations(name, files):
        if files[stem] != path:
            _remove(files[stem])


def _remove(path: Path) -> None:
    """Remove a side-car's files; who has them open goes on with what nobody reads any more."""
    shutil.rmtree(f"{path}-writers", ignore_errors=True)
    for suffix in ("", "-wal", "-shm", "-complete.lock"):
        with suppress(OSError):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
