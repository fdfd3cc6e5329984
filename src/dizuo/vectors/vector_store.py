"""What a user holds: one collection and one namespace of it, with the same meaning on every engine.

Everything that can be shared is here or called from here: checking, batching, repeating, per-row errors, filters'
text form, order and cut of the answers, hybrid search. A store only ever sees clean blocks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import VectorError
from dizuo.events import Finished, Note, Progress, Started, Watcher, ignore
from dizuo.vectors.filters import parsing as text_form
from dizuo.vectors.filters.tree import Filter, operators
from dizuo.vectors.lexical import fusion
from dizuo.vectors.points import Block, Floats, Hit, Hits, Point, encode
from dizuo.vectors.protocol.answers import Info, Upserted, make_hits
from dizuo.vectors.protocol.capabilities import Capabilities
from dizuo.vectors.protocol.errors import Refused, RowErrors, Transient, Unreachable, Unsupported
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.scores import Metric, top_k
from dizuo.vectors.writing.batching import send_ahead
from dizuo.vectors.writing.checking import id_fault, metadata_fault
from dizuo.vectors.writing.naming import check_name
from dizuo.vectors.writing.queries import check_queries
from dizuo.vectors.writing.retrying import Patience
from dizuo.vectors.writing.sources import Source, read_blocks

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["VectorStore"]

T = TypeVar("T")
EVERYTHING: Columns = frozenset({"vectors", "metadata", "documents"})


class VectorStore:
    """A collection of vectors in some database, and one namespace of it. `connect` makes one.

    Scores are higher where nearer, always. A `where` is a filter (`field("year") >= 2020`) or its text form
    (`"year >= 2020"`). Calls may come from several threads.
    """

    def __init__(self, store: Store, *, namespace: str = "", patience: Patience | None = None, url: str = "") -> None:
        self.store = store
        self.name = namespace
        self.url = url
        self._patience = patience or Patience()
        self._guard: AbstractContextManager[Any] = nullcontext() if store.capabilities.threads else threading.RLock()

    def __repr__(self) -> str:
        return f"VectorStore({self.url!r}, collection={self.collection!r}, namespace={self.name!r})"

    def __enter__(self) -> VectorStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def dim(self) -> int:
        """Numbers in a vector."""
        return self.store.spec.dim

    @property
    def metric(self) -> Metric:
        """`cosine`, `dot` or `l2`."""
        return self.store.spec.metric

    @property
    def collection(self) -> str:
        """Name of the collection."""
        return self.store.spec.collection

    @property
    def capabilities(self) -> Capabilities:
        """What the engine can do."""
        return self.store.capabilities

    def namespace(self, name: str) -> VectorStore:
        """Return another namespace of the same collection, over the same connection."""
        other = VectorStore(
            self.store,
            namespace=check_name(name, noun="namespace", empty=True),
            patience=self._patience,
            url=self.url,
        )
        other._guard = self._guard
        return other

    # ---- writing

    def upsert(
        self,
        points: Source,
        *,
        wait: bool = True,
        errors: Literal["raise", "collect"] = "raise",
        watch: Watcher = ignore,
    ) -> Upserted:
        """Insert or replace whole records.

        Args:
            points: a point, any iterable of points, or an Arrow table, batch, reader or iterable of batches (columns
                id, vector, metadata, document), of any size: only a few batches are in memory at a time.
            wait: visible to everybody when this returns; False is faster, and `refresh()` makes it visible.
            errors: `raise` stops at the first batch with a bad row, of which nothing is sent; `collect` leaves bad
                rows out and reports them.
            watch: is told of the progress.

        Raises:
            Refused: rows that must not be sent: wrong dimension, NaN, zero under cosine, values that JSON has not.
            RowErrors: the engine refused single rows; the others of their batch are in.
            Unreachable: the engine went away; `written` rows are certainly in, and the same call may be repeated.
        """
        began, written = time.monotonic(), 0
        failed: dict[str, str] = {}
        watch(Started("upsert", None, "rows"))

        def checked_blocks() -> Iterator[Block]:
            store = self.store
            found = read_blocks(points, dim=self.dim, metric=self.metric, rows=store.batch_rows, size=store.batch_bytes)
            for block, bad in found:
                if bad and errors == "raise":
                    noun = "row is" if len(bad) == 1 else "rows are"
                    raise Refused(f"{len(bad):,} {noun} wrong", bad, hint="fix them, or use errors='collect'")
                failed.update(bad)
                if len(block):
                    yield block

        def send(block: Block) -> None:
            nonlocal written
            try:
                self._call(lambda: self.store.upsert(self.name, block, wait=wait), watch)
                written += len(block)
            except RowErrors as error:
                written += len(block) - len(error.rows)
                if errors == "raise":
                    raise
                failed.update(error.rows)
            seconds = time.monotonic() - began
            watch(Progress("upsert", written, None, "rows", rate=written / max(seconds, 1e-9)))

        try:
            send_ahead(checked_blocks(), send)
        except (Unreachable, RowErrors, Refused) as error:
            error.written = written  # type: ignore[union-attr]
            if written:
                error.details = (*error.details, f"{written:,} rows of this call are in the store")
            raise
        watch(Finished("upsert", time.monotonic() - began, f"{written:,} rows"))
        return Upserted(written, failed)

    def update_metadata(self, changes: Mapping[str, Mapping[str, Any]], *, replace: bool = False) -> int:
        """Change metadata by id and leave vectors and documents alone; return how many of the ids are there.

        Args:
            changes: new metadata by id.
            replace: put it in the place of the old; otherwise its keys are set and the other keys stay. Merging reads
                first: of two writers at the same moment the later one wins.
        """
        bad = {str(id): fault for id, new in changes.items() if (fault := id_fault(id) or metadata_fault(new))}
        if bad:
            raise Refused("the metadata cannot be stored", bad)
        changed = 0
        for part in _parts(list(changes), self.store.batch_rows):
            new = {id: dict(changes[id]) for id in part}
            if not replace:
                old = self._fetch(part, frozenset({"metadata"}))
                new = {id: held | new[id] for id, held in zip(old.ids, old.metadata, strict=True)}
            if new:
                block = Block(list(new), metadata=[encode(row) for row in new.values()])
                changed += self._call(lambda block=block: self.store.set_metadata(self.name, block))  # type: ignore[misc]
        return changed

    def delete(self, ids: Iterable[str] | str | None = None, *, where: Filter | str | None = None) -> int:
        """Remove records by ids or by a filter; return how many were really there."""
        if (ids is None) == (where is None):
            raise VectorError("delete takes ids or a filter", hint="clear() removes all of the namespace")
        if where is not None:
            chosen = self._filter(where)
            return self._call(lambda: self.store.delete(self.name, ids=None, where=chosen))
        parts = _parts(_askable(ids), self.store.batch_rows)
        return sum(self._call(lambda part=part: self.store.delete(self.name, ids=part, where=None)) for part in parts)  # type: ignore[misc]

    def clear(self) -> int:
        """Remove everything in this namespace; return how many records there were."""
        return self._call(lambda: self.store.delete(self.name, ids=None, where=None))

    # ---- reading

    def search(
        self,
        vector: Sequence[float] | NDArray[Any],
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
    ) -> Hits:
        """Return the k nearest records that match, best first, ties by id.

        Args:
            vector: `dim` numbers.
            k: answers; k come back if k match, at any selectivity.
            where: which records.
            exact: compare every matching vector, whatever index there is.
            vectors: bring the hits' vectors too.
        """
        return self.search_many([vector], k, where=where, exact=exact, vectors=vectors)[0]

    def search_many(
        self,
        queries: Sequence[Sequence[float] | Floats] | NDArray[Any],
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
    ) -> list[Hits]:
        """Return the answers to several queries [q, dim], in one call where the engine can."""
        matrix = check_queries(queries, self.dim, self.metric)
        chosen = self._filter(where)
        if not _count(k) or not len(matrix):
            return [Hits() for _ in matrix]
        columns = EVERYTHING if vectors else EVERYTHING - {"vectors"}
        return [make_hits(one, k) for one in self._near(matrix, k=k, where=chosen, exact=exact, columns=columns)]

    def words(self, query: str, k: int = 10, *, where: Filter | str | None = None) -> Hits:
        """Return the k best records by BM25 over their documents; those without any word of the query are none.

        Raises:
            Unsupported: the store has no words; give `connect` a `lexical=PATH`.
        """
        chosen = self._filter(where)
        if not _count(k):
            return Hits()
        found = self._words(query, k, chosen)
        places = top_k(found.scores, found.rows.ids, k)
        scored = {found.rows.ids[n]: float(found.scores[n]) for n in places}
        return self._filled(scored, vectors=False, fetched=found.fetched)

    def hybrid(
        self,
        query: str,
        vector: Sequence[float] | NDArray[Any],
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
        depth: int | None = None,
    ) -> Hits:
        """Return the k best of a dense and a BM25 search together, fused by reciprocal rank (k = 60).

        Args:
            query: the words.
            vector: the same, embedded.
            k: answers.
            where: which records.
            exact: for the dense leg.
            vectors: bring the hits' vectors too.
            depth: answers of each leg that are fused; the larger of 50 and 5·k unless set.

        Every hit has its components: `hit.parts["dense"]` and `hit.parts["lexical"]`, each with score and rank.
        """
        return self.hybrid_many([query], [vector], k, where=where, exact=exact, vectors=vectors, depth=depth)[0]

    def hybrid_many(
        self,
        queries: Sequence[str],
        embedded: Sequence[Sequence[float] | Floats] | NDArray[Any],
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
        depth: int | None = None,
    ) -> list[Hits]:
        """Return what `hybrid` answers to several queries, whose dense legs go in one call where the engine can.

        Args:
            queries: the words of each.
            embedded: the same, embedded, [q, dim].
            k: answers to each.
            where: as in `hybrid`, and so are `exact`, `vectors` and `depth`.
        """
        matrix = check_queries(embedded, self.dim, self.metric)
        if len(queries) != len(matrix):
            raise VectorError(f"{len(queries):,} queries have {len(matrix):,} vectors", hint="one for each, in order")
        chosen = self._filter(where)
        if not _count(k) or not len(matrix):
            return [Hits() for _ in matrix]
        deep = max(k, depth or max(50, 5 * k))
        near = self._near(matrix, k=deep, where=chosen, exact=exact, columns=frozenset())
        out = []
        for query, dense in zip(queries, near, strict=True):
            lexical = self._words(query, deep, chosen)
            ranked = {name: fusion.rank_leg(leg, deep) for name, leg in (("dense", dense), ("lexical", lexical))}
            fused, parts = fusion.fuse(ranked, k)
            found = self._filled(fused, vectors=vectors, fetched=dense.fetched + lexical.fetched, parts=parts)
            found.path = dense.path
            out.append(found)
        return out

    def fetch(self, ids: Iterable[str] | str) -> list[Point]:
        """Return the records with these ids, in the order asked; those that are not there are left out."""
        wanted = _askable(ids)
        found = {point.id: point for block in self.blocks(wanted) for point in block.points()}
        return [found[id] for id in wanted if id in found]

    def blocks(self, ids: Iterable[str]) -> Iterator[Block]:
        """Yield the records with these ids as blocks, in any order."""
        for part in _parts(_askable(ids), self.store.batch_rows):
            yield self._fetch(part, EVERYTHING)

    def get(self, id: str) -> Point | None:
        """Return one record, or None."""
        return next(iter(self.fetch(id)), None)

    def count(self, where: Filter | str | None = None) -> int:
        """Return the exact number of records that match."""
        chosen = self._filter(where)
        return self._call(lambda: self.store.count(self.name, where=chosen))

    def scan(
        self,
        where: Filter | str | None = None,
        *,
        columns: Iterable[str] = EVERYTHING,
        rows: int = 1000,
        everywhere: bool = False,
    ) -> Iterator[Block]:
        """Yield every matching record once, as blocks of about `rows`, in constant memory.

        Args:
            where: which records.
            columns: of `vectors`, `metadata` and `documents`; ids always come.
            rows: of a block.
            everywhere: over all namespaces; the blocks have the column `namespaces`.
        """
        chosen = self._filter(where)
        wanted = frozenset(columns)
        assert wanted <= EVERYTHING, f"columns are {sorted(EVERYTHING)}"
        with self._guard:
            items = self.store.scan(None if everywhere else self.name, where=chosen, columns=wanted, rows=rows)
        while True:
            with self._guard:
                block = next(items, None)
            if block is None:
                return
            if len(block):
                yield block

    def points(self, where: Filter | str | None = None) -> Iterator[Point]:
        """Yield every matching record as a point."""
        for block in self.scan(where):
            yield from block.points()

    def arrow(self, where: Filter | str | None = None, *, rows: int = 1000) -> pa.RecordBatchReader:
        """Return the matching records as an Arrow stream with the columns id, vector, metadata and document."""
        from dizuo.vectors.writing.arrow import to_reader

        return to_reader(self.scan(where, rows=rows), dim=self.dim)

    # ---- the collection

    def namespaces(self) -> dict[str, int]:
        """Return the records of every namespace that has any."""
        return dict(self._call(self.store.namespaces))

    def refresh(self) -> None:
        """Make everything that was written with `wait=False` visible."""
        self._call(self.store.refresh)

    def optimize(self, *, force_index: bool = False, watch: Watcher = ignore) -> None:
        """Compact, and build the vector index where the size asks for one; always where `force_index` is set.

        Raises:
            Unsupported: an index was forced on an engine that has none.
        """
        if force_index and not self.capabilities.index:
            raise Unsupported(f"{self.url} has no vector index to build", hint="it compares all vectors, always")
        self._call(lambda: self.store.optimize(force_index=force_index, watch=watch), watch)

    def info(self) -> Info:
        """Return what there is to know: engine, version, metric, dim, counts, index, capabilities."""
        spaces = self.namespaces()
        engine = self._call(self.store.info)
        spec = self.store.spec
        return Info(
            self.url, spec.collection, self.name, spec.dim, spec.metric, spaces.get(self.name, 0), spaces, engine,
            self.capabilities,
        )  # fmt: skip

    def drop(self) -> None:
        """Remove the whole collection, with all its namespaces."""
        self._call(self.store.drop)

    def close(self) -> None:
        """Give back connections and files."""
        with self._guard:
            self.store.close()

    # ---- inside

    def _call(self, call: Callable[[], T], watch: Watcher = ignore) -> T:
        def waiting(pause: float, error: Transient) -> None:
            watch(Note(f"{error.message}; trying again in {pause:.1f} s"))

        with self._guard:
            return self._patience(call, waiting=waiting)

    def _near(self, matrix: Floats, **asked: Any) -> list[SearchResult]:
        """Return what the store finds for each query [q, dim].

        All go in one call. Where that fails for a moment, as one of hundreds of requests to a service that throttles
        may, they go in four parts: what was answered by then is not asked again.
        """
        if len(matrix) < 4 or self._patience.attempts == 1:
            return self._call(lambda: self.store.search(self.name, matrix, **asked))
        try:
            with self._guard:
                return self.store.search(self.name, matrix, **asked)
        except Transient as error:
            time.sleep(max(self._patience.first, min(error.after or 0.0, self._patience.longest)))
        size = -(-len(matrix) // 4)
        parts = [matrix[start : start + size] for start in range(0, len(matrix), size)]
        return [found for part in parts for found in self._near(part, **asked)]

    def _filter(self, where: Filter | str | None) -> Filter | None:
        chosen = text_form.parse(where) if isinstance(where, str) else where
        if chosen is None:
            return None
        if not isinstance(chosen, Filter):
            raise VectorError(f"where is {chosen!r}, and no filter", hint='compare a field: field("lang") == "zh"')
        lacking = operators(chosen) - self.capabilities.operators
        if lacking:
            raise Unsupported(f"{self.url} cannot filter by {', '.join(sorted(lacking))}", details=[str(chosen)])
        return chosen

    def _words(self, query: str, k: int, where: Filter | None) -> SearchResult:
        if not isinstance(query, str):
            raise VectorError(f"words are text, not {type(query).__name__}")
        if self.capabilities.lexical == "none":
            raise Unsupported(
                f"{self.url} cannot search by words", hint="connect(…, lexical=FILE) keeps them beside it"
            )
        return self._call(lambda: self.store.lexical(self.name, query, k=k, where=where))

    def _fetch(self, ids: Sequence[str], columns: Columns) -> Block:
        return self._call(lambda: self.store.fetch(self.name, ids, columns=columns))

    def _filled(
        self, scored: Mapping[str, float], *, vectors: bool, fetched: int, parts: Mapping[str, Any] | None = None
    ) -> Hits:
        """Return hits of these ids in their order, with what the store holds of them."""
        columns = EVERYTHING if vectors else EVERYTHING - {"vectors"}
        held: dict[str, Hit] = {}
        for part in _parts(list(scored), self.store.batch_rows):
            block = self._fetch(part, columns)
            found = SearchResult(block, np.array([scored[id] for id in block.ids]))
            held |= {hit.id: hit for hit in make_hits(found, len(block), parts)}
        return Hits([held[id] for id in scored if id in held], fetched=fetched)


def _count(k: int) -> int:
    if type(k) is not int or k < 0:
        raise VectorError(f"k is {k!r}, and it is a number of answers")
    return k


def _askable(ids: Iterable[str] | str | None) -> list[str]:
    """Return distinct ids that some record could have; text that no id can be finds nothing."""
    wanted = list(dict.fromkeys([ids] if isinstance(ids, str) else ids or ()))
    for id in wanted:
        if not isinstance(id, str):
            raise VectorError(f"an id is text, not {id!r}")
    return [id for id in wanted if id_fault(id) is None]


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
