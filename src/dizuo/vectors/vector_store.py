"""`VectorStore`: what a user holds. It means the same on every database.

Everything that databases can share is done here or called from here: rows and queries are checked, batches are cut and
sent again where it may help, errors are collected by row, the text form of filters is read, answers are put in order
and cut at k, and the two rankings of a hybrid search are fused. A database's `Store` only ever gets clean blocks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np

from dizuo.errors import VectorError
from dizuo.events import Note, Watcher, ignore
from dizuo.vectors.exact.within_limits import WithinLimits
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import fusion
from dizuo.vectors.points import Block, Floats, Hit, Hits, Metadata, Parts, Point, Vector, Vectors, encode
from dizuo.vectors.protocol.answers import Info, Upserted, make_hits
from dizuo.vectors.protocol.capabilities import Capabilities
from dizuo.vectors.protocol.errors import Refused, Transient, Unsupported
from dizuo.vectors.protocol.guard import Guard, explain_by
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.scores import Metric, top_k
from dizuo.vectors.writing.batching import split
from dizuo.vectors.writing.checking import id_fault, metadata_fault
from dizuo.vectors.writing.choices import check_choice, check_list
from dizuo.vectors.writing.naming import check_name
from dizuo.vectors.writing.queries import check_filter, check_ids, check_k, check_queries
from dizuo.vectors.writing.retrying import Patience
from dizuo.vectors.writing.sending import send_points
from dizuo.vectors.writing.sources import Source

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["VectorStore"]

T = TypeVar("T")
EVERYTHING: Columns = frozenset({"vectors", "metadata", "documents"})


class VectorStore:
    """One namespace of a collection of vectors in some database. `connect` returns one.

    Scores are always higher where vectors are nearer. A `where` is a filter (`field("year") >= 2020`) or its text form
    (`"year >= 2020"`). Calls may come from several threads.

    Every call may raise `CollectionGone`: somebody dropped the collection, or made it anew, since it was opened. A
    handle that a forked process got from its parent raises `Forked`.
    """

    def __init__(self, store: Store, *, namespace: str = "", patience: Patience | None = None, url: str = "") -> None:
        self.store = store
        self.name = namespace
        self.url = url
        self._patience = patience or Patience()
        self._guard = Guard(str(self), alone=not store.capabilities.threads, copies=not store.capabilities.persistent)

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
        """The name of the collection."""
        return self.store.spec.collection

    @property
    def capabilities(self) -> Capabilities:
        """What the database can do."""
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
                id, vector, metadata, document). It may be of any size: only a few batches are in memory at a time.
            wait: return when the records are visible to everybody. False is faster; `refresh()` makes them visible.
            errors: `raise` stops at the first batch with a bad row, and sends nothing of that batch. `collect` leaves
                bad rows out and reports them.
            watch: is told of the progress.

        Raises:
            Refused: rows must not be sent: a wrong dimension, NaN, zero under cosine, a value that JSON has not.
            RowErrors: the database refused single rows; the others of their batch are in.
            Unreachable: the database went away; `written` rows are certainly in, and the same call may be repeated.
        """
        check_choice(errors, ("raise", "collect"), noun="errors", also={"skip": "collect", "keep": "collect"})
        return send_points(
            points, store=self.store, namespace=self.name, wait=wait, collect=errors == "collect",
            repeat=lambda call: self._call(call, watch), watch=watch,
        )  # fmt: skip

    def update_metadata(self, changes: Mapping[str, Metadata], *, replace: bool = False) -> int:
        """Change metadata by id, but neither vectors nor documents; return how many of the ids are there.

        Args:
            changes: new metadata by id.
            replace: put it in the place of the old. Otherwise its keys are set, and the other keys stay; the old ones
                are read first, so of two writers at the same moment the later one wins.
        """
        bad = {str(id): fault for id, new in changes.items() if (fault := id_fault(id) or metadata_fault(new))}
        if bad:
            raise Refused("the metadata cannot be stored", bad)
        changed = 0
        for part in split(list(changes), self.store.batch_rows):
            new: dict[str, Metadata] = {id: dict(changes[id]) for id in part}
            if not replace:
                old = self._fetch(part, frozenset({"metadata"}))
                new = {id: {**held, **new[id]} for id, held in zip(old.ids, old.metadata, strict=True)}
            if new:
                block = Block(list(new), metadata=[encode(row) for row in new.values()])
                changed += self._ask(lambda block=block: self.store.set_metadata(self.name, block))  # type: ignore[misc]
        self._call(self.store.refresh)
        return changed

    def delete(self, ids: Iterable[str] | str | None = None, *, where: Filter | str | None = None) -> int:
        """Remove records by ids or by a filter; return how many were really there."""
        if (ids is None) == (where is None):
            raise VectorError("delete takes ids or a filter", hint="clear() removes all of the namespace")
        if where is not None:
            return self._delete([None], self._filter(where))
        return self._delete(split(check_ids(ids), self.store.batch_rows), None)

    def clear(self) -> int:
        """Remove everything in this namespace; return how many records there were."""
        return self._delete([None], None)

    def _delete(self, parts: Iterable[Sequence[str] | None], where: Filter | None) -> int:
        removed = 0
        for part in parts:
            removed += self._ask(lambda part=part: self._within_limits.delete(self.name, ids=part, where=where))  # type: ignore[misc]
        self._call(self.store.refresh)
        return removed

    # ---- reading

    def search(
        self,
        vector: Vector,
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
    ) -> Hits:
        """Return the k nearest records that match the filter, best first, ties by id.

        Args:
            vector: `dim` numbers.
            k: how many hits; k come back if k records match, however few these are.
            where: which records.
            exact: compare every matching vector, whatever index there is.
            vectors: return the hits' vectors too.
        """
        return self.search_many([vector], k, where=where, exact=exact, vectors=vectors)[0]

    def search_many(
        self,
        queries: Vectors,
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
    ) -> list[Hits]:
        """Return the hits of several queries [q, dim], which go in one call where the database can."""
        matrix = check_queries(queries, self.dim, self.metric)
        chosen = self._filter(where)
        if not check_k(k) or not len(matrix):
            return [Hits() for _ in matrix]
        columns = EVERYTHING if vectors else EVERYTHING - {"vectors"}
        results = self._search(matrix, k=k, where=chosen, exact=exact, columns=columns)
        if not any(results):
            self._call(self.store.check)
        return [make_hits(result, k) for result in results]

    def words(self, query: str, k: int = 10, *, where: Filter | str | None = None) -> Hits:
        """Return the k best records by BM25 over their documents; a record without any word of the query is no hit.

        Raises:
            Unsupported: the store has no words; give `connect` a `lexical=PATH`.
        """
        chosen = self._filter(where)
        if not check_k(k):
            return Hits()
        result = self._search_words(query, k, chosen)
        ids = result.rows.ids
        scores = {ids[row]: float(result.scores[row]) for row in top_k(result.scores, ids, k)}
        return self._fill(scores, vectors=False, fetched=result.fetched)

    def hybrid(
        self,
        query: str,
        vector: Vector,
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
            vector: the embedding of the same.
            k: how many hits.
            where: which records.
            exact: compare every matching vector in the dense search.
            vectors: return the hits' vectors too.
            depth: hits of each search that are fused; the larger of 50 and 5·k unless set.

        Every hit has its components: `hit.parts["dense"]` and `hit.parts["lexical"]`, each with score and rank.
        """
        return self.hybrid_many([query], [vector], k, where=where, exact=exact, vectors=vectors, depth=depth)[0]

    def hybrid_many(
        self,
        queries: Sequence[str],
        embedded: Vectors,
        k: int = 10,
        *,
        where: Filter | str | None = None,
        exact: bool = False,
        vectors: bool = False,
        depth: int | None = None,
    ) -> list[Hits]:
        """Return what `hybrid` returns for several queries; their dense searches go in one call where that is possible.

        Args:
            queries: the words of each.
            embedded: their embeddings, [q, dim].
            k: how many hits of each.
            where: as in `hybrid`, and so are `exact`, `vectors` and `depth`.
        """
        check_list(queries, noun="queries")
        matrix = check_queries(embedded, self.dim, self.metric)
        if len(queries) != len(matrix):
            raise VectorError(f"{len(queries):,} queries have {len(matrix):,} vectors", hint="one for each, in order")
        chosen = self._filter(where)
        if not check_k(k) or not len(matrix):
            return [Hits() for _ in matrix]
        deep = max(k, depth or max(50, 5 * k))
        results = self._search(matrix, k=deep, where=chosen, exact=exact, columns=frozenset())
        answers = []
        for query, dense in zip(queries, results, strict=True):
            lexical = self._search_words(query, deep, chosen)
            ranked = {name: fusion.rank_leg(leg, deep) for name, leg in (("dense", dense), ("lexical", lexical))}
            scores, parts = fusion.fuse(ranked, k)
            hits = self._fill(scores, vectors=vectors, fetched=dense.fetched + lexical.fetched, parts=parts)
            hits.path = dense.path
            answers.append(hits)
        return answers

    def fetch(self, ids: Iterable[str] | str) -> list[Point]:
        """Return the records with these ids, in the order of the ids; those that are not there are left out."""
        asked = check_ids(ids)
        points = {point.id: point for block in self.blocks(asked) for point in block.points()}
        return [points[id] for id in asked if id in points]

    def blocks(self, ids: Iterable[str]) -> Iterator[Block]:
        """Yield the records with these ids as blocks, in any order."""
        for part in split(check_ids(ids), self.store.batch_rows):
            yield self._fetch(part, EVERYTHING)

    def get(self, id: str) -> Point | None:
        """Return one record, or None."""
        return next(iter(self.fetch(id)), None)

    def count(self, where: Filter | str | None = None) -> int:
        """Return the exact number of records that match."""
        chosen = self._filter(where)
        return self._ask(lambda: self._within_limits.count(self.name, where=chosen))

    def scan(
        self,
        where: Filter | str | None = None,
        *,
        columns: Iterable[str] = EVERYTHING,
        rows: int = 1000,
        everywhere: bool = False,
    ) -> Iterator[Block]:
        """Yield every record that matches, once, in blocks of about `rows` rows, in constant memory.

        Records may be written and removed meanwhile, by the loop itself or by anybody: what was there when the scan
        began and nobody has touched since comes exactly once, what was added or changed comes once or not at all.

        Args:
            where: which records.
            columns: of `vectors`, `metadata` and `documents`; ids always come.
            rows: about how many rows a block has.
            everywhere: go over all namespaces; then the blocks have the column `namespaces`.
        """
        chosen = self._filter(where)
        check_list(columns, noun="columns", call="columns={}")
        asked = frozenset(columns)
        for column in asked:
            check_choice(column, sorted(EVERYTHING), noun="column", also={"text": "documents", "embeddings": "vectors"})
        with self._guard:
            name = None if everywhere else self.name
            blocks = self._within_limits.scan(name, where=chosen, columns=asked, rows=rows)
        while True:
            with self._guard, explain_by(self._check):
                block = next(blocks, None)
            if block is None:
                self._call(self.store.check)  # otherwise a collection that is dropped in the middle would seem short
                return
            if len(block):
                yield block

    def points(self, where: Filter | str | None = None) -> Iterator[Point]:
        """Yield every record that matches, as a point."""
        for block in self.scan(where):
            yield from block.points()

    def arrow(self, where: Filter | str | None = None, *, rows: int = 1000) -> pa.RecordBatchReader:
        """Return the matching records as an Arrow stream with the columns id, vector, metadata and document."""
        from dizuo.vectors.writing.arrow import to_reader

        return to_reader(self.scan(where, rows=rows), dim=self.dim)

    # ---- the collection

    def namespaces(self) -> dict[str, int]:
        """Return how many records every namespace has that has any."""
        return dict(self._ask(self.store.namespaces))

    def refresh(self) -> None:
        """Make everything that was written with `wait=False` visible."""
        self._call(self.store.check)
        self._call(self.store.refresh)

    def optimize(self, *, force_index: bool = False, watch: Watcher = ignore) -> None:
        """Compact the data, and build the vector index if the size asks for one or `force_index` is set.

        Raises:
            Unsupported: `force_index` is set and the database has no index.
        """
        if force_index and not self.capabilities.index:
            raise Unsupported(f"{self.url} has no vector index to build", hint="it compares all vectors, always")
        self._call(self.store.check)
        self._call(lambda: self.store.optimize(force_index=force_index, watch=watch), watch)

    def info(self) -> Info:
        """Return what there is to know: database, version, metric, dim, counts, index, capabilities."""
        spaces = self.namespaces()
        engine = self._call(self.store.info)
        spec = self.store.spec
        return Info(
            self.url, spec.collection, self.name, spec.dim, spec.metric, spaces.get(self.name, 0), spaces, engine,
            self.capabilities,
        )  # fmt: skip

    def drop(self) -> None:
        """Remove the whole collection, with all its namespaces; nothing happens if somebody else has removed it.

        Raises:
            CollectionGone: there is another collection of this name now, which stays.
        """
        self._call(self.store.drop)

    def close(self) -> None:
        """Give back connections and files; in a forked process nothing, since they are its parent's."""
        if self._guard.forked and self.capabilities.persistent:
            return
        with self._guard:
            self.store.close()

    # ---- inside

    @property
    def _within_limits(self) -> WithinLimits:
        return WithinLimits(self.store)

    def _call(self, call: Callable[[], T], watch: Watcher = ignore) -> T:
        """Return what the call returns; it is repeated while the database is busy, and `watch` is told."""

        def waiting(pause: float, error: Transient) -> None:
            watch(Note(f"{error.message}; trying again in {pause:.1f} s"))

        with self._guard, explain_by(self._check):
            return self._patience(call, waiting=waiting)

    def _check(self) -> None:
        self._patience(self.store.check)

    def _ask(self, call: Callable[[], T]) -> T:
        """Return an answer; an empty one only after the store has said that the collection is still there.

        What a store finds is of the collection that was opened, since it looks under that one's mark.
        """
        answer = self._call(call)
        if not answer:
            self._call(self.store.check)
        return answer

    def _search(
        self, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        """Return what the store finds for each query [q, dim].

        All go in one call. If that fails for a moment, as one of hundreds of requests to a service that throttles may,
        they go in four parts: then a part that was answered is not sent again when a later one fails.
        """

        def send() -> list[SearchResult]:
            return self._within_limits.search(self.name, queries, k=k, where=where, exact=exact, columns=columns)

        if len(queries) < 4 or self._patience.attempts == 1:
            return self._call(send)
        try:
            with self._guard, explain_by(self._check):
                return send()
        except Transient as error:
            time.sleep(max(self._patience.first, min(error.after or 0.0, self._patience.longest)))
        size = -(-len(queries) // 4)
        parts = [queries[start : start + size] for start in range(0, len(queries), size)]
        return [
            result for part in parts for result in self._search(part, k=k, where=where, exact=exact, columns=columns)
        ]

    def _filter(self, where: Filter | str | None) -> Filter | None:
        """Return a filter that the database can answer."""
        return check_filter(where, self.capabilities, self.url)

    def _search_words(self, query: str, k: int, where: Filter | None) -> SearchResult:
        if not isinstance(query, str):
            raise VectorError(f"words are text, not {type(query).__name__}")
        if self.capabilities.lexical == "none":
            raise Unsupported(
                f"{self.url} cannot search by words", hint="connect(…, lexical=FILE) keeps them beside it"
            )
        return self._ask(lambda: self._within_limits.lexical(self.name, query, k=k, where=where))

    def _fetch(self, ids: Sequence[str], columns: Columns) -> Block:
        return self._ask(lambda: self.store.fetch(self.name, ids, columns=columns))

    def _fill(self, scores: Mapping[str, float], *, vectors: bool, fetched: int, parts: Parts | None = None) -> Hits:
        """Return hits of these ids, in their order, with what the store holds of them."""
        columns = EVERYTHING if vectors else EVERYTHING - {"vectors"}
        hits: dict[str, Hit] = {}
        for ids in split(list(scores), self.store.batch_rows):
            block = self._fetch(ids, columns)
            result = SearchResult(block, np.array([scores[id] for id in block.ids]))
            hits |= {hit.id: hit for hit in make_hits(result, len(block), parts)}
        return Hits([hits[id] for id in scores if id in hits], fetched=fetched)
