"""`Store`: the methods that every database implements. `VectorStore` calls them; nobody else does.

# How to write a store

A store is one file or package in `dizuo/vectors/stores/`, or a module of yours that the entry-point group
`dizuo.vectors.stores` names. Its name is the scheme of its URLs: `connect("redis://…")` loads `stores/redis`, which
ends in a `Database`:

    @dataclass(frozen=True, slots=True)
    class Options:                       # what the URL's query and keyword arguments may set; documented, with defaults
        batch_rows: int = 1000

    def open_store(url: Url, request: CollectionRequest, options: Options) -> Store: ...

    STORE = Database(options=Options, open=open_store)

`open_store` connects, finds or makes the collection, and returns an object with the methods of `Store`. It imports the
client's package itself and raises `MissingPackage` where that is absent; importing the module alone loads no client.
`open_or_close` closes the client where opening fails.

    table = physical_name(request.collection)            # dizuo.vectors.writing.naming: slug and hash
    spec = request.check_existing(dim, metric) if exists else request.check_new()

Keep dim and metric where the data is (a comment, a settings row). `request.check_existing` refuses a collection that
was made with others, and `request.check_new` refuses to make one without a dimension. Two processes may open at once.

Keep a mark there too, `new_generation()`, and make it part of every physical name or key, as `generation_name` does.
Somebody may drop the collection while others have it open, and make another of its name: what these then ask for is not
found, whatever the new one looks like. Nothing is ever read from it or written into it by mistake.

## What `VectorStore` has done before it calls you

- Ids are unique within a block (the last one won), 1 to 512 bytes of UTF-8, without NUL.
- Vectors are float32 [n, dim] and finite; float32 can hold their squared length, which is not zero under cosine.
- Metadata is JSON with 64-bit integers, finite floats and non-empty text keys. There are no half surrogates, but there
  may be NUL characters, quotes, emoji, empty text and any nesting: **what went in comes out bit for bit**, floats as
  floats and integers as integers. `block.metadata_texts` and `block.metadata_arrow` are JSON text. A database that
  changes values keeps that text in a column of its own, and in other columns what its filters need.
- Documents are text or None (which is not the empty text).
- A block has at most `batch_rows` rows and `batch_bytes` bytes, and is never empty. One row that is larger comes alone.
- k is at least 1. It may be more than the rows that match; then you return all of these. Queries are float32 [q, dim].
- A filter uses only operators that are in `capabilities.operators`; for others `VectorStore` raises `Unsupported`.
- A filter is in its simplest form (`filters/normalising.py`) and within `capabilities.filters`; a larger one comes in
  parts. State there what one query may have, and in `Database.limits` all limits that the database has.
- Calls that fail with `Transient` are repeated with growing, jittered pauses; so every method must be repeatable.

Calls come one at a time but not always from the same thread. With `capabilities.threads` they may come at once.

## What you must get right

- `namespace` is part of every statement. An id is unique within its namespace only.
- `upsert` replaces the whole record: metadata keys, documents and postings of the old one are gone.
- When a call with `wait=True` returns, every later call sees what it wrote, from any process. `VectorStore` sends one
  block so; of several it sends each with `wait=False` and calls `refresh` once, at the end. It calls `refresh` after
  `delete` and `set_metadata` too: these need not wait for what a search sees, if `refresh` does.
- `search` returns k rows if k match, at any selectivity. It filters before the index or inside it, never after; and it
  compares all vectors where an index came back short. `exact=True` compares every matching vector. Scores are ours:
  higher is nearer (`dizuo.vectors.scores`). Where scores tie at the cut, the smaller ids win: `exact/ties.py` helps
  where the database cannot order by id.
- Filters mean what `dizuo.vectors.filters.matching.matches` says, missing keys and mixed types included. Values are
  always bound or escaped. `negations_inside` removes general NOTs.
- `delete` returns how many rows were really there.
- `scan` yields what was there when it began and was not touched since exactly once, whatever is written meanwhile, also
  by the loop that reads it. So no pages by offset: they shift when a row before them goes. Page by an order that rows
  keep (`id > last`, ranges of a hash of the id), or over a snapshot.
- A collection that is gone is `CollectionGone`, from every method: where a write finds that out it has written nothing,
  and what finds nothing is followed by a call of `check`.
- The client's exceptions become ours (`dizuo.vectors.protocol.errors`), once, where the client is called: `Transient`
  for 429, 503 and timeouts, `Unreachable` for no server, `Denied` for a wrong password, `RowErrors` where some rows
  failed, and `VectorError` for the rest.

## How it is tested

    class TestRedis(VectorStoreSuite):
        @pytest.fixture
        def url(self, redis_server): return redis_server.url

`dizuo.testing.VectorStoreSuite` compares it with `stores/memory.py` in every respect that is named above.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dizuo.events import Watcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec

__all__ = ["Columns", "Preparing", "SearchResult", "Store", "open_or_close"]

Columns = frozenset[str]
"""Which of `vectors`, `metadata` and `documents` an answer must have; ids always come."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The rows that a store found for one query, in any order: `VectorStore` sorts them and keeps the k best."""

    rows: Block
    scores: NDArray[np.float64]
    """Of each row, [n]; higher is nearer."""
    path: Literal["exact", "index"] = "exact"
    """Whether all matching vectors were compared, or an approximate index was asked."""
    fetched: int = 0
    """Rows that the database sent, also those that the store threw away."""

    def __len__(self) -> int:
        return len(self.rows)


@runtime_checkable
class Store(Protocol):
    """One collection of one database. The module's docstring is the guide; `stores/memory.py` is the example."""

    spec: CollectionSpec
    capabilities: Capabilities
    batch_rows: int
    """Most rows of one `upsert`, `fetch`, `set_metadata` or `delete` by ids."""
    batch_bytes: int
    """Most bytes of one `upsert`."""
    sidecar_folder: Path | None
    """Where the BM25 side-car is kept by default: beside the database's own files; None for a server."""
    generation: str
    """The mark of the collection, drawn when it was made and kept in the database: a side-car belongs to it."""

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        """Insert or replace rows; `block` has all columns. With `wait`, they are visible when this returns.

        Raises:
            RowErrors: some rows failed, all others are in.
        """

    def set_metadata(self, namespace: str, block: Block) -> int:
        """Replace the metadata of the rows that exist and nothing else; return how many rows that were.

        `block` has metadata only. (`VectorStore` has merged old and new keys.)
        """

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        """Remove rows by ids or by filter, or all of the namespace where both are None; return how many were there."""

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        """Return the rows with these ids, in any order; ids that are not there are left out."""

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        """Return the k nearest of the rows that match the filter, one `SearchResult` per query [q, dim]."""

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        """Return the ids of the k best rows by BM25 of `query_tokens(query)` over the documents (`block.tokens`).

        Rows with none of the tokens are no answers. Called only where `capabilities.lexical` says so.
        """

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        """Yield every row that matches, once, in blocks of about `rows` rows, in constant memory.

        Without a namespace it goes over all of them, and the blocks have the column `namespaces`.
        """

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        """Return the exact number of matching rows, in one namespace or in all."""

    def namespaces(self) -> Mapping[str, int]:
        """Return the rows of every namespace that has any."""

    def check(self) -> None:
        """Raise `CollectionGone` where the collection that was opened is not there any more; cheap otherwise.

        `VectorStore` calls it where an answer is empty, where a call fails with a plain `VectorError`, at the end of a
        scan, and before `optimize`.
        """

    def refresh(self) -> None:
        """Make everything visible that was written with `wait=False`, changed or removed."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Compact, and build the index where the size asks for one, or in any case where `force_index` is set."""

    def info(self) -> EngineInfo:
        """Return what there is to know of the database and its index."""

    def drop(self) -> None:
        """Remove the whole collection with all namespaces and everything physical of it.

        Does nothing where it is gone; raises `CollectionGone` where another one has its name, which stays.
        """

    def close(self) -> None:
        """Give back connections and files; may be called twice."""


@runtime_checkable
class Preparing(Protocol):
    """A store that turns a block into what it sends while the block before is on its way."""

    def prepare(self, namespace: str, block: Block) -> None:
        """Compute what `upsert` will need and keep it in `block.prepared`; called from another thread than `upsert`.

        It must not use the connection, and `upsert` must do without it: a block that comes alone is not prepared.
        """


class _Openable(Protocol):
    def open(self, request: CollectionRequest) -> None: ...

    def close(self) -> None: ...


OpenableT = TypeVar("OpenableT", bound=_Openable)


def open_or_close(store: OpenableT, request: CollectionRequest) -> OpenableT:
    """Open a store's collection and return the store; close its client where that fails."""
    try:
        store.open(request)
    except BaseException:
        store.close()
        raise
    return store
