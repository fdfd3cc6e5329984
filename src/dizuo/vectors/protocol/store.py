"""The narrow protocol between the shared front and an engine: everything one file in `stores/` implements.

# How to write a store

A store is one module in `dizuo/vectors/stores/`. Its file name is the URL scheme: `connect("redis://…")` loads
`stores/redis.py`, which has two names:

    @dataclass(frozen=True, slots=True)
    class Options:                       # what URL query and keyword arguments may set; documented, all with defaults
        batch_rows: int = 1000

    def open_store(url: Url, wanted: Wanted, options: Options) -> Store: ...

`open_store` connects, finds or makes the collection (`opened` closes the client where that fails), and returns an
object with the methods of `Store`. Its client
package is imported inside (`MissingPackage` where it is absent): importing the module itself loads no client.

    table = physical(wanted.collection)                  # dizuo.vectors.writing.naming: slug and hash
    spec = wanted.agreed(dim, metric) if found else wanted.new()

Keep dim and metric where the data is (a comment, a settings row): `wanted.agreed` refuses a collection that is
opened with others, `wanted.new` refuses to make one without a dimension. Two processes may open at once.

## What the front has done before you are called

- ids are unique within a block (the last one won), 1 to 512 bytes of UTF-8 without NUL;
- vectors are float32 [n, dim], finite, of a length that float32 can square, and not zero under cosine;
- metadata is JSON with 64-bit integers, finite floats and non-empty text keys; no half surrogates anywhere, but NUL
  characters, quotes, emoji, empty text and any nesting may be there: **what went in comes out bit for bit**, floats
  as floats and integers as integers. `block.metadata_texts` and `block.metadata_arrow` are JSON text; an engine that
  bends values stores that text in a column of its own and keeps what it needs for filters beside it;
- documents are text or None (which is not the empty text);
- blocks are within `batch_rows` rows and `batch_bytes` bytes (one oversized row comes alone), never empty;
- k ≥ 1 and at most the rows of the collection that could match is yours to find; queries are float32 [q, dim];
- a filter uses only the operators that `capabilities.operators` lists; the front raises `Unsupported` otherwise;
- calls that fail with `Transient` are repeated with growing, jittered pauses; so every method must be repeatable.

The front calls from one thread at a time but not always from the same one, unless `capabilities.threads`.

## What you must get right

- `namespace` is compiled into every statement. An id is unique within its namespace only.
- `upsert` replaces the whole record: metadata keys, documents and postings of the old one are gone.
- It is visible to every later call, from any process, when a call with `wait=True` returns.
- `search` returns k rows if k match, at any selectivity; filters before or inside the index, never after; falls back
  to exact where an index came back short. `exact=True` compares every matching vector. Scores are ours: higher is
  nearer (`dizuo.vectors.scores`). Where scores tie at the cut, the smaller ids win: `with_ties` helps where the
  engine cannot order by id.
- Filters mean what `dizuo.vectors.filters.matching.matches` says, missing keys and mixed types included, always with
  bound or escaped values. `negations_inside` removes general NOTs.
- `delete` returns how many rows were really there.
- Map the client's exceptions to `dizuo.vectors.protocol.faults`, once, at the edge: `Transient` for 429, 503 and
  timeouts, `Unreachable` for no server, `Denied` for a wrong password, `RowErrors` where some rows failed,
  `VectorError` else.

## How it is tested

    class TestRedis(VectorStoreSuite):
        @pytest.fixture
        def url(self, redis_server): return redis_server.url

`dizuo.testing.VectorStoreSuite` compares it with `stores/memory.py`, the oracle, in every respect named above.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import VectorError
from dizuo.events import Watcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical.tokenizer import TOKENIZER
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.scores import METRICS, Metric

__all__ = [
    "OPERATORS",
    "Capabilities",
    "Columns",
    "EngineInfo",
    "Found",
    "Spec",
    "Store",
    "Wanted",
    "opened",
    "with_ties",
]

Columns = frozenset[str]
"""Which of `vectors`, `metadata` and `documents` an answer must have; ids always come."""
OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "exists", "contains", "startswith"})


@dataclass(frozen=True, slots=True)
class Spec:
    """What a collection is."""

    collection: str
    dim: int
    metric: Metric


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for; None where they left it open."""

    collection: str
    dim: int | None = None
    metric: Metric | None = None
    create: bool = True

    def agreed(self, dim: int, metric: str) -> Spec:
        """Return the spec of a collection that exists.

        Raises:
            VectorError: it has another dimension or metric than the user asked for.
        """
        if self.dim not in (None, dim):
            raise VectorError(
                f"the collection {self.collection!r} holds vectors of {dim} numbers, not {self.dim}",
                hint=f"use dim={dim}, or another collection",
            )
        if self.metric not in (None, metric):
            raise VectorError(
                f"the collection {self.collection!r} was made for the metric {metric!r}, not {self.metric!r}",
                hint=f"use metric={metric!r}, or copy it into a new collection",
            )
        found = next((one for one in METRICS if one == metric), None)
        if found is None:
            raise VectorError(f"the collection {self.collection!r} says its metric is {metric!r}, which dizuo lacks")
        return Spec(self.collection, dim, found)

    def agreed_words(self, tokenizer: Any) -> None:
        """Refuse a collection that has words of documents beside its records which this version does not look for.

        Args:
            tokenizer: what the collection says of them; see `dizuo.vectors.lexical.TOKENIZER`.

        Raises:
            VectorError: another version of dizuo cut them, or there are none.
        """
        if tokenizer != TOKENIZER:
            raise VectorError(
                f"the collection {self.collection!r} has words as another version of dizuo cut them",
                hint="export it with that version, and import it into a new collection",
            )

    def new(self) -> Spec:
        """Return the spec of a collection that is about to be made; cosine where no metric was asked for.

        Raises:
            VectorError: it may not be made, or its dimension is not known.
        """
        if not self.create:
            raise VectorError(f"there is no collection {self.collection!r}", hint="check the name, or use create=True")
        if self.dim is None:
            raise VectorError(
                f"there is no collection {self.collection!r} yet", hint="give dim=… to make it (and metric=…)"
            )
        return Spec(self.collection, self.dim, self.metric or "cosine")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What an engine can do; the conformance suite skips what is lacking here, and the docs' table says so."""

    persistent: bool = True
    """Data outlives the process, and other processes see it."""
    several_writers: bool = True
    """Several processes may write at once."""
    durable: bool = True
    """What was visible survives `kill -9` of the client (embedded: of the process)."""
    atomic_batches: bool = False
    """A batch is in as a whole or not at all, also when the client is killed."""
    threads: bool = False
    """Calls may come from several threads at once; otherwise the front lets one in at a time."""
    metrics: tuple[Metric, ...] = METRICS
    max_dim: int | None = None
    operators: frozenset[str] = OPERATORS
    index: bool = True
    """Has an approximate index that `optimize(force_index=True)` builds."""
    lexical: Literal["own", "portable", "side-car", "none"] = "none"
    """BM25 leg: the engine's own; dizuo's beside the data in the same database; a side-car file; not at all.
    A store with `none` gets `side-car` from the front where `lexical=PATH` is given."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Reasons for what is lacking, by field name, for the table in the docs."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows that one query found, best first or in any order: the front sorts and cuts at k.

    `scores` is [n], higher is nearer. `fetched` counts rows that the engine sent, also those you threw away.
    """

    rows: Block
    scores: NDArray[np.float64]
    path: Literal["exact", "index"] = "exact"
    fetched: int = 0


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine says of itself and of the collection."""

    engine: str
    """Name, as in `PostgreSQL with pgvector`."""
    version: str
    index: str
    """Kind of the vector index, as in `hnsw`, or `none`."""
    indexed_rows: int = 0
    """Rows that the index covers now."""
    where: str = ""
    """Physical name of the table or index, or the path."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further facts worth a line, such as index parameters or bytes on disk."""


@runtime_checkable
class Store(Protocol):
    """One collection of one engine. The module's docstring is the guide; `stores/memory.py` is the example."""

    spec: Spec
    capabilities: Capabilities
    batch_rows: int
    """Most rows of one `upsert`, `fetch`, `set_metadata` or `delete` by ids."""
    batch_bytes: int
    """Most bytes of one `upsert`."""
    beside: Path | None
    """Where the BM25 side-car goes by default: a file beside the engine's own, or None for a server."""

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        """Insert or replace rows; `block` has all columns. Visible when this returns where `wait` is set.

        Raises:
            RowErrors: some rows failed, all others are in.
        """

    def set_metadata(self, namespace: str, block: Block) -> int:
        """Replace the metadata of the rows that exist, leaving the rest alone; return how many these were.

        `block` has metadata only. (Merging is done by the front.)
        """

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        """Remove rows by ids or by filter, or all of the namespace where both are None; return how many were there."""

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        """Return the rows with these ids, in any order; ids that are not there are left out."""

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[Found]:
        """Return the k nearest of the rows that match, one `Found` per query [q, dim]."""

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> Found:
        """Return the k best rows by BM25 of `query_tokens(query)` over the documents (`block.tokens`), ids only.

        Rows with none of the tokens are no answers. Called only where `capabilities.lexical` says so.
        """

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        """Yield every matching row once, in blocks of about `rows`, in constant memory; None means all namespaces.

        Blocks of a scan over all namespaces have the column `namespaces`.
        """

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        """Return the exact number of matching rows, in one namespace or in all."""

    def namespaces(self) -> Mapping[str, int]:
        """Return the rows of every namespace that has any."""

    def refresh(self) -> None:
        """Make everything written with `wait=False` visible."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Compact, and build the index where the size asks for one, or in any case where `force_index` is set."""

    def info(self) -> EngineInfo:
        """Return what there is to know of engine and index."""

    def drop(self) -> None:
        """Remove the whole collection with all namespaces and everything physical of it."""

    def close(self) -> None:
        """Give back connections and files; may be called twice."""


class _Openable(Protocol):
    def open(self, wanted: Wanted) -> None: ...

    def close(self) -> None: ...


Opened = TypeVar("Opened", bound=_Openable)


def opened(store: Opened, wanted: Wanted) -> Opened:
    """Open a store's collection and return the store; close its client where that fails."""
    try:
        store.open(wanted)
    except BaseException:
        store.close()
        raise
    return store


def with_ties(ask: Callable[[int], Found], k: int, *, most: int, budget: int | None = None) -> Found:
    """Return at least k rows such that no row beyond them ties with the k-th, for engines that cannot order by id.

    Args:
        ask: returns the n nearest rows, best first.
        k: rows wanted.
        most: rows that one call may ask for: in exact mode the number of those that match.
        budget: rows that all calls together may fetch: 10·k outside exact mode. Ties beyond it stay as they came.
    """
    want, fetched = min(k + 1, most), 0
    while True:
        found = ask(want)
        fetched += found.fetched
        scores = found.scores
        more = min(4 * want, most if budget is None else min(most, budget - fetched))
        if len(scores) < want or len(scores) <= k or scores[k - 1] > scores[-1] or more <= want:
            return Found(found.rows, scores, found.path, fetched)
        want = more
