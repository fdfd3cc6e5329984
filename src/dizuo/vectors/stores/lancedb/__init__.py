"""`lancedb://FOLDER`: LanceDB, embedded; the default. A folder on disk, safe with several writer processes.

Facts that shaped this file (lancedb 0.40.0):

- A handle sees other processes' commits only with `read_consistency_interval=0`. It sees a table that was removed and
  made anew as the same one, so a table's name ends in the mark of its collection.
- `merge_insert` inserts a row twice that comes twice, also when two processes insert the same new id at once. So the
  writers of a collection take turns through a lock file. An object store has none: only one process may write there.
- JSON columns compare loosely, and `int_col >= 1.0` is an error. Filters read `shadow`, a JSON column of sort keys
  (`dizuo.vectors.exact.sort_keys`), or a column of its own for each hot key; `metadata` is the exact text.
- Every write adds a version and a fragment; `optimize` merges them, and so does every 200th write.
- Product quantisation without refinement has a recall of 0.40: the index is IVF_HNSW_SQ, refined, from 50,000 rows.
- Its full-text search counts what was replaced or deleted until `optimize`, and all namespaces together: 150 of 225
  queries had another order after a third of 1,400 documents was replaced. So words are kept in dizuo's side-car, in the
  folder; `words="engine"` takes LanceDB's own, which gets our tokens through its whitespace tokenizer.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Note, Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.exact.sort_keys import sort_key, sort_keys_json
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import query_tokens
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone
from dizuo.vectors.protocol.guard import check_client
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.scores import from_cosine_distance, from_squared_distance
from dizuo.vectors.stores.lancedb.errors import map_errors
from dizuo.vectors.stores.lancedb.filters import compile_filter, ids_condition, row_key, shadow_value
from dizuo.vectors.stores.lancedb.limits import FILTERS, LIMITS
from dizuo.vectors.stores.lancedb.words import (
    WORDS_KEY,
    WordsOf,
    build_index,
    choose_words,
    search_words,
    with_words,
    words_column,
)
from dizuo.vectors.writing.metadata_columns import read_columns, sort_key_column
from dizuo.vectors.writing.naming import find_generations, generation_name, new_generation, physical_name

__all__ = ["STORE"]

EXACT_ROWS = 50_000
"""Up to here all vectors are compared; beyond it `optimize` builds an index."""
FEW = 20_000
"""Matching rows up to which a filtered search compares all of them although there is an index."""
_ANY = 2**31 - 1
BULK = 1000
"""A write of so many rows first looks whether all of them are new."""
PLAIN = {"lance-encoding:compression": "none"}
"""Of columns of text. Compressing documents of 100 words takes a third of the time in which they are replaced, and
saves a tenth of the disk: vectors take the most of it, and do not compress."""
BETWEEN = 200
"""Writes of this process between two compactions."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a LanceDB folder is used."""

    hot: tuple[str, ...] = ()
    """Metadata keys that get a column and, by `optimize`, an index of their own: for filters over many rows."""
    keep_minutes: float = 60.0
    """How long old versions of the data stay on disk for readers in the middle of a scan."""
    ef: int = 200
    """Candidates that an index search keeps."""
    refine: int = 5
    """How many times k are compared exactly after an index search."""
    words: Literal["exact", "engine"] | None = None
    """Whose BM25 a search by words takes: dizuo's (`exact`, with a side-car in the folder or at `lexical=PATH`), or
    LanceDB's own (`engine`). Chosen when a collection is made: `exact` unless it is in an object store and no
    `lexical=PATH` is given."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Store:
    """Return the collection in that folder, made where it is not there."""
    try:
        import lancedb
    except ImportError:
        raise MissingPackage("lancedb", purpose="lancedb://", install="dizuo[lancedb]") from None
    import pyarrow as pa

    check_client("LanceDB")
    place = url.place or "."
    local = "://" not in place
    table_name = physical_name(request.collection)
    lock: Any = nullcontext()
    if local:
        from filelock import FileLock

        try:
            Path(place).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VectorError(f"the folder {place} cannot be used: {error.strerror}") from None
        lock = FileLock(Path(place) / f".{table_name}.lock", thread_local=False)
    database = lancedb.connect(place, read_consistency_interval=datetime.timedelta(0))
    may_make = request.create and request.dim is not None
    # Where nothing can be made the folder stays as it is: an empty one gets no lock file.
    with lock if may_make or options.hot else nullcontext(), map_errors(place):
        held = min(find_generations(table_name, _list_tables(database)), default=None)
        table = None if held is None else database.open_table(held)
        if table is not None:
            metadata = table.schema.metadata or {}
            if b"dizuo.metric" not in metadata:
                raise VectorError(f"the table {held} in {place} was not made by dizuo", hint="use another folder")
            spec = request.check_existing(
                table.schema.field("vector").type.list_size, metadata[b"dizuo.metric"].decode()
            )
            words = choose_words(request, options.words, table, local=local)
        else:
            spec = request.check_new()
            words = choose_words(request, options.words, None, local=local)
            fields = [
                pa.field("key", pa.string(), nullable=False, metadata={WORDS_KEY: words, **PLAIN}),
                pa.field("namespace", pa.string(), nullable=False, metadata=PLAIN),
                pa.field("id", pa.string(), nullable=False, metadata=PLAIN),
                pa.field("vector", pa.list_(pa.float32(), spec.dim), nullable=False),
                pa.field("metadata", pa.string(), nullable=False, metadata=PLAIN),
                pa.field("shadow", pa.json_(), metadata=PLAIN),
                pa.field("document", pa.string(), metadata=PLAIN),
                *([pa.field("words", pa.string(), metadata=PLAIN)] if words == "engine" else []),
            ]
            schema = pa.schema(fields, metadata={"dizuo.metric": spec.metric})
            table = database.create_table(generation_name(table_name, new_generation()), schema=schema)
        store = LanceStore(database, table, spec, options, place, lock, words)
        store.warm(options.hot)
    return store


def _list_tables(database: Any) -> list[str]:
    return list(database.list_tables().tables if hasattr(database, "list_tables") else database.table_names())


class LanceStore:
    """A collection in LanceDB; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 20_000
    batch_bytes = 64 * 2**20
    capabilities = Capabilities(atomic_batches=True, filters=FILTERS)

    def __init__(
        self,
        database: Any,
        table: Any,
        spec: CollectionSpec,
        options: Options,
        place: str,
        lock: AbstractContextManager[Any],
        words: WordsOf,
    ) -> None:
        self.database, self.table, self.spec, self.options, self.place, self.lock, self.words = (
            database, table, spec, options, place, lock, words,
        )  # fmt: skip
        self.sidecar_folder = Path(place) / "dizuo-lexical" if "://" not in place else None
        if "://" in place:
            note = "writers of a local folder take turns through a lock file, and an object store has none"
            self.capabilities = replace(self.capabilities, several_writers=False, notes={"several_writers": note})
        self.name = physical_name(spec.collection)
        self.generation = find_generations(self.name, [table.name])[table.name]
        self.capabilities = with_words(self.capabilities, words, local="://" not in place)
        self.hot: dict[str, str] = {}
        self.writes = 0
        self.mixed = False
        self.known: tuple[float, Any] = (-60.0, None)
        self.has_words_index = False

    def warm(self, keys: Sequence[str]) -> None:
        """Read which metadata keys have a column of their own, and add columns for those of `keys` that have none."""
        fields = {field.name: field for field in self.table.schema}
        self.hot = {
            field.metadata[b"dizuo.key"].decode(): name
            for name, field in fields.items()
            if field.metadata and b"dizuo.key" in field.metadata
        }
        for key in keys:
            if key not in self.hot:
                name = physical_name(key, prefix="hot_")
                if name not in fields:
                    self.table.add_columns({name: shadow_value(key)})
                self.table.replace_field_metadata(name, {"dizuo.key": key})
                self.hot[key] = name

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        import pyarrow as pa

        rows = self._make_columns(namespace, block)
        columns = {
            **rows,
            "namespace": pa.repeat(pa.scalar(namespace, pa.string()), len(block)),
            "id": block.ids_arrow,
            "vector": block.vectors_arrow,
            "document": block.documents_arrow,
            "words": words_column(block, self.words),
        }
        with self.lock, self._map_errors():
            batch = pa.table({name: columns[name] for name in self.table.schema.names})
            if self._are_new(columns["key"]):
                self.table.add(batch)
            else:
                merge = self.table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(batch)
            self._count_write()

    def _are_new(self, keys: Any) -> bool:
        """Return whether it is certain that no row has one of these keys; then adding the rows is half the work.

        Nobody else writes meanwhile. If the keys have an index, merging uses it, and reading all keys would take
        longer. It would also take longer if few rows come and there are many fragments.
        """
        import pyarrow.compute as pc

        if len(keys) < BULK or any(index.columns == ["key"] for index in self.table.list_indices()):
            return False
        held = self.table.search().select(["key"]).to_batches(65_536)
        return not any(pc.any(pc.is_in(part.column("key"), keys)).as_py() for part in held)

    def _make_columns(self, namespace: str, block: Block) -> dict[str, Any]:
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = {
            "key": pc.binary_join_element_wise(pa.scalar(row_key(namespace, "")), block.ids_arrow, ""),
            "metadata": block.metadata_arrow,
        }
        columns["shadow"] = _shadow_column(block, columns["metadata"])
        for key, name in self.hot.items():
            values = [sort_key(row[key]) if key in row else None for row in block.metadata]
            columns[name] = pa.array(values, pa.string())
        return columns

    def _count_write(self) -> None:
        self.writes += 1
        if self.writes % BETWEEN == 0:
            self.table.optimize(cleanup_older_than=datetime.timedelta(minutes=self.options.keep_minutes))

    def set_metadata(self, namespace: str, block: Block) -> int:
        import pyarrow as pa

        with self.lock, self._map_errors():
            merge = self.table.merge_insert("key").when_matched_update_all()
            result = merge.execute(pa.table(self._make_columns(namespace, block)))
            self._count_write()
        return int(result.num_updated_rows)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        chosen = self._compile(namespace, where) if ids is None else ids_condition(namespace, ids)
        with self.lock, self._map_errors():
            result = self.table.delete(chosen)
            self._count_write()
        return int(result.num_deleted_rows)

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        with self._map_errors():
            query = self.table.search().where(ids_condition(namespace, ids)).select(_names(columns))
            return _to_block(query.limit(len(ids)).to_arrow(), columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        indexed = not exact and self._vector_index() is not None
        if indexed and where is not None:
            indexed = self.count(namespace, where=where) > FEW
        return [self._search_one(namespace, query, k, where, exact, indexed, columns) for query in queries]

    def _search_one(
        self, namespace: str, query: Floats, k: int, where: Filter | None, exact: bool, indexed: bool, columns: Columns
    ) -> SearchResult:
        """Return the result of one query.

        If there is only one namespace, filtering by it costs more than the search. So it is left out until a row of
        another namespace is among the results; as long as there is none, the results are the same without it.
        """
        from lancedb.query import LanceVectorQueryBuilder

        names = ["key", *_names(columns)[1:], "_distance"]
        prefix = row_key(namespace, "")

        def ask(n: int) -> SearchResult:
            # `table.search`, and a builder without row ids, read the schema: three round trips, 0.9 ms of 11.
            builder = LanceVectorQueryBuilder(self.table, query, "vector").with_row_id(True)
            builder = builder.distance_type(self.spec.metric)
            condition = self._compile(namespace if self.mixed else None, where)
            if condition != "true":
                builder = builder.where(condition, prefilter=True)
            builder = builder.limit(n).select(names)
            if indexed:
                builder = builder.ef(max(self.options.ef, self.options.refine * n))
                builder = builder.refine_factor(self.options.refine).nprobes(64)
            else:
                builder = builder.bypass_vector_index()
            with self._map_errors():
                answer = builder.to_batches().read_all()
            keys = answer.column("key").to_pylist()
            if not self.mixed and not all(key.startswith(prefix) for key in keys):
                self.mixed = True
                return ask(n)
            ids = [key[len(prefix) :] for key in keys]
            distances = answer.column("_distance").to_numpy()
            to_score = from_squared_distance if self.spec.metric == "l2" else from_cosine_distance
            path: Literal["exact", "index"] = "index" if indexed else "exact"
            return SearchResult(_to_block(answer, columns, ids), to_score(distances), path, len(distances))

        if indexed:
            result = ask(k)
            if len(result.scores) >= k:
                return result
            indexed = False  # the index returned too few rows; now all vectors are compared
        return include_ties(ask, k, most=_ANY, budget=None if exact else 10 * k)

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        assert self.words == "engine", "words are in the side-car"
        tokens = query_tokens(query)
        if not tokens or not self._words_index():
            return SearchResult(Block([]), np.empty(0))
        chosen = self._compile(namespace, where)

        def ask(n: int) -> SearchResult:
            with self._map_errors():
                return search_words(self.table, tokens, chosen, n)

        # Rows after the index are compared anew by every question, so the first one asks for enough to see ties.
        first = ask(5 * k)
        if len(first.scores) < 5 * k or first.scores[k - 1] > first.scores[-1]:
            return first
        return include_ties(ask, k, most=10 * k, budget=5 * k)

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        names = _names(columns) + (["namespace"] if namespace is None else [])
        with self._map_errors():
            query = self.table.search().where(self._compile(namespace, where)).select(names)
            for batch in query.to_batches(rows):
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    block = _to_block(part, columns)
                    yield block.in_namespaces(part.column("namespace")) if namespace is None else block

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        with self._map_errors():
            return int(self.table.count_rows(self._compile(namespace, where)))

    def namespaces(self) -> dict[str, int]:
        from collections import Counter

        import pyarrow.compute as pc

        counts: Counter[str] = Counter()
        with self._map_errors():
            for batch in self.table.search().select(["namespace"]).to_batches(65_536):
                for pair in pc.value_counts(batch.column("namespace")).to_pylist():
                    counts[pair["values"]] += pair["counts"]
        return dict(sorted(counts.items()))

    def _compile(self, namespace: str | None, where: Filter | None) -> str:
        return compile_filter(where, namespace=namespace, hot=self.hot)

    # ---- the collection

    def check(self) -> None:
        with map_errors(self.place):
            names = find_generations(self.name, _list_tables(self.database))
        if self.table.name not in names:
            raise CollectionGone(self.spec.collection, remade=bool(names))

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        """Turn the exceptions of LanceDB into ours, and into `CollectionGone` where the table is not there any more."""
        try:
            with map_errors(self.place):
                yield
        except VectorError:
            self.check()
            raise

    def refresh(self) -> None:
        pass

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        from lancedb.index import BTree, HnswSq

        old = datetime.timedelta(minutes=self.options.keep_minutes)
        with self.lock, self._map_errors():
            rows = self.table.count_rows()
            held = {column for index in self.table.list_indices() for column in index.columns}
            for column in ("key", *self.hot.values()):
                if rows and column not in held:
                    self.table.create_index(column, config=BTree())
            if self.words == "engine":
                self._words_index()
            else:  # one that an older version made
                for index in self.table.list_indices():
                    if index.columns == ["words"]:
                        self.table.drop_index(index.name)
            if "vector" not in held and rows and (force_index or rows > EXACT_ROWS):
                watch(Note(f"building a vector index over {rows:,} rows"))
                partitions = max(1, rows // 1_000_000)
                config = HnswSq(distance_type=self.spec.metric, num_partitions=partitions, m=20, ef_construction=300)
                self.table.create_index("vector", config=config)
            self.table.optimize(cleanup_older_than=old)
            self._vector_index(fresh=True)

    def _vector_index(self, *, fresh: bool = False) -> Any:
        """Return the vector index or None; looked up again after some seconds, since other processes may build one."""
        if fresh or time.monotonic() - self.known[0] > 5:
            with self._map_errors():
                indices = self.table.list_indices()
            vector_index = next((index for index in indices if index.columns == ["vector"]), None)
            self.known = (time.monotonic(), vector_index)
        return self.known[1]

    def _words_index(self) -> bool:
        """Return whether there is an index of words; it is built at the first search by words."""
        if not self.has_words_index:
            with self.lock, self._map_errors():
                self.has_words_index = build_index(self.table)
        return self.has_words_index

    def info(self) -> EngineInfo:
        import lancedb

        with self._map_errors():
            index = self._vector_index(fresh=True)
            stats = self.table.stats()
        kind = "none" if index is None else "ivf_hnsw_sq"
        rows = 0 if index is None else int(index.num_indexed_rows)
        details = {
            "bytes": stats["total_bytes"],
            "fragments": stats["fragment_stats"]["num_fragments"],
            "hot keys": sorted(self.hot),
            "exact up to rows": EXACT_ROWS,
        }
        return EngineInfo("LanceDB", lancedb.__version__, kind, rows, f"{self.place}/{self.table.name}.lance", details)

    def drop(self) -> None:
        with self.lock, self._map_errors():
            if find_generations(self.name, _list_tables(self.database)):
                self.check()
                self.database.drop_table(self.table.name, ignore_missing=True)

    def close(self) -> None:
        pass


def _shadow_column(block: Block, texts: Any) -> Any:
    import pyarrow as pa

    if (columns := block.metadata_columns or read_columns(texts)) is not None:
        return sort_key_column(columns).cast(pa.json_())
    return pa.array(sort_keys_json(block.metadata), pa.json_())


def _names(columns: Columns) -> list[str]:
    held = {"vectors": "vector", "metadata": "metadata", "documents": "document"}
    return ["id", *(name for column, name in held.items() if column in columns)]


def _to_block(rows: Any, columns: Columns, ids: list[str] | None = None) -> Block:
    """Return the columns of an Arrow table or batch; the ids too, unless they are given."""

    def column(name: str) -> Any:
        values = rows.column(name)
        return values.combine_chunks() if hasattr(values, "combine_chunks") else values

    vectors = None
    if "vectors" in columns:
        held = column("vector")
        flat = held.flatten().to_numpy(zero_copy_only=False)
        vectors = cast(Floats, flat.reshape(len(held), held.type.list_size))
    return Block(
        column("id") if ids is None else ids,
        vectors,
        column("metadata") if "metadata" in columns else None,
        column("document") if "documents" in columns else None,
    )


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="folder", extras=())
