"""`memory://`: numpy arrays in this process, exact in everything. Every other store is compared with it in tests.

`memory://NAME` is the same store for all in this process who ask for that name, until it is dropped. `memory://` alone
is a new store for every `connect`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.events import Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.filters.matching import matcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import LexicalIndex
from dizuo.vectors.points import Block, Floats, decode
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.scores import pairwise, top_k
from dizuo.vectors.writing.naming import new_generation

__all__ = ["STORE"]


@dataclass(frozen=True, slots=True)
class Options:
    """There are no options."""


_SHARED: dict[tuple[str, str], Memory] = {}


def open_store(url: Url, request: CollectionRequest, options: Options) -> Store:
    """Return the collection of that name, made where it is not there."""
    key = (url.place, request.collection)
    existing = _SHARED.get(key) if url.place else None
    if existing is not None:
        request.check_existing(existing.spec.dim, existing.spec.metric)
        return existing
    store = Memory(request.check_new(), key)
    if url.place:
        _SHARED[key] = store
    return store


@dataclass(slots=True)
class _Space:
    """One namespace: rows by id. The rows of removed records are used again."""

    dim: int
    rows: dict[str, int] = field(default_factory=dict)
    free: list[int] = field(default_factory=list)
    vectors: Floats = field(init=False)
    texts: list[str] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    documents: list[str | None] = field(default_factory=list)
    words: LexicalIndex = field(default_factory=LexicalIndex)

    def __post_init__(self) -> None:
        self.vectors = np.empty((0, self.dim), np.float32)

    def put(self, id: str, vector: Floats, text: str, document: str | None) -> None:
        row = self.rows.get(id)
        if row is None:
            row = self.free.pop() if self.free else self._grow()
            self.rows[id] = row
        self.vectors[row] = vector
        self.texts[row], self.metadata[row], self.documents[row] = text, decode(text), document
        self.words.upsert(id, document)

    def _grow(self) -> int:
        row = len(self.texts)
        if row == len(self.vectors):
            self.vectors = np.concatenate([self.vectors, np.empty((max(64, row), self.dim), np.float32)])
        self.texts.append("{}")
        self.metadata.append({})
        self.documents.append(None)
        return row

    def remove(self, id: str) -> bool:
        row = self.rows.pop(id, None)
        if row is None:
            return False
        self.free.append(row)
        self.words.delete(id)
        return True

    def matching(self, where: Filter | None) -> list[str]:
        if where is None:
            return list(self.rows)
        matches = matcher(where)
        return [id for id, row in self.rows.items() if matches(self.metadata[row])]

    def block(self, ids: Sequence[str], columns: Columns) -> Block:
        rows = [self.rows[id] for id in ids]
        return Block(
            list(ids),
            self.vectors[rows] if "vectors" in columns else None,
            [self.texts[row] for row in rows] if "metadata" in columns else None,
            [self.documents[row] for row in rows] if "documents" in columns else None,
        )


class Memory:
    """A collection in memory; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 10_000
    batch_bytes = 64 * 2**20
    sidecar_folder: Path | None = None
    capabilities = Capabilities(
        persistent=False,
        several_writers=False,
        durable=False,
        atomic_batches=True,
        index=False,
        lexical="portable",
        notes={
            "persistent": "lives in one process",
            "several_writers": "lives in one process",
            "durable": "lives in one process",
            "index": "compares all vectors, always",
        },
    )

    def __init__(self, spec: CollectionSpec, key: tuple[str, str]) -> None:
        self.spec = spec
        self.key = key
        self.spaces: dict[str, _Space] = {}
        self.generation, self.dropped = new_generation(), False

    def space(self, namespace: str) -> _Space:
        """Return a namespace to read from; one that does not exist is empty."""
        return self.spaces.get(namespace) or _Space(self.spec.dim)

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        self.check()
        space = self.spaces.setdefault(namespace, _Space(self.spec.dim))
        rows = zip(block.ids, block.vectors, block.metadata_texts, block.documents, strict=True)
        for id, vector, text, document in rows:
            space.put(id, vector, text, document)

    def set_metadata(self, namespace: str, block: Block) -> int:
        space = self.space(namespace)
        changed = 0
        for id, text in zip(block.ids, block.metadata_texts, strict=True):
            row = space.rows.get(id)
            if row is not None:
                space.texts[row], space.metadata[row] = text, decode(text)
                changed += 1
        return changed

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        space = self.space(namespace)
        removed = sum(space.remove(id) for id in (space.matching(where) if ids is None else list(ids)))
        if not space.rows:
            self.spaces.pop(namespace, None)
        return removed

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        space = self.space(namespace)
        return space.block([id for id in ids if id in space.rows], columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        space = self.space(namespace)
        ids = space.matching(where)
        vectors = space.vectors[[space.rows[id] for id in ids]]
        results = []
        for query in queries:
            scores: NDArray[np.float64] = pairwise(query, vectors, self.spec.metric)
            best = top_k(scores, ids, k)
            results.append(SearchResult(space.block([ids[n] for n in best], columns), scores[best], "exact", len(best)))
        return results

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        space = self.space(namespace)
        allowed = None if where is None else frozenset(space.matching(where))
        hits = space.words.search(query, k=k, allowed=allowed)
        return SearchResult(Block([id for id, _ in hits]), np.array([score for _, score in hits]), "exact", len(hits))

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        for name in sorted(self.spaces) if namespace is None else [namespace]:
            space = self.space(name)
            ids = sorted(space.matching(where))
            for start in range(0, len(ids), rows):
                self.check()
                part = [id for id in ids[start : start + rows] if id in space.rows]
                block = space.block(part, columns)
                yield block.in_namespaces([name] * len(part)) if namespace is None else block

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        names = list(self.spaces) if namespace is None else [namespace]
        return sum(len(self.space(name).matching(where)) for name in names)

    def namespaces(self) -> dict[str, int]:
        return {name: len(space.rows) for name, space in sorted(self.spaces.items())}

    def check(self) -> None:
        if self.dropped:
            raise CollectionGone(self.spec.collection, remade=self.key in _SHARED)

    def refresh(self) -> None:
        pass

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        pass

    def info(self) -> EngineInfo:
        return EngineInfo("numpy in memory", np.__version__, "none", where=self.key[0] or "this object")

    def drop(self) -> None:
        if self.dropped and self.key in _SHARED:
            self.check()
        self.dropped = True
        self.spaces.clear()
        _SHARED.pop(self.key, None)

    def close(self) -> None:
        pass


STORE = Database(options=Options, open=open_store, form="folder", extras=())
