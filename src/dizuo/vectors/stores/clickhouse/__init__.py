"""ClickHouse over HTTP (`clickhouse://user:password@host:8123/database`), or its engine in this process
(`clickhouse:///PATH`, with the package chdb).

Tested against chdb 26.9: in the process, and behind a small HTTP server of the tests; not yet against a ClickHouse
server. A collection is a table, ordered by namespace and id; `t` has the tags and `n` the numbers that filters ask for
(`dizuo.vectors.exact.tags_and_numbers`). Its name ends in a mark; which mark is the collection's now, an empty table
without one says in its comment, with dim and metric. Pitfalls, and what is done about them:

- a table replaces rows by merging, some time later; every query says FINAL, so that the newest row of an id counts,
  and deleting writes a row that says `gone`;
- its vector index ignores FINAL and filters after the search, so all vectors are compared, which is fast (about 2 ms
  for 20,000 of 32 numbers); the database orders ties by id;
- values go into the text of a query, escaped, because parameters travel in the URL, which has a limit;
- it has no BM25: `TABLE_words` has the postings, and a record names its own by a number `p` drawn for every write. They
  are inserted before the record, so a record is never without its words; those that no record names count for nothing
  and are removed by `optimize` when they are older than an hour (`keep_minutes`), so not those of a writer at work.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import LoginOptions
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import Condition, flatten, flatten_filter
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import SQL_WEIGHT, TOKENIZER, query_tokens
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, Denied, Transient, Unreachable
from dizuo.vectors.protocol.guard import check_client
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.stores.clickhouse.filters import in_namespace, quote, write_condition
from dizuo.vectors.stores.clickhouse.limits import FILTERS, LIMITS
from dizuo.vectors.writing.naming import generation_name, new_generation, physical_name

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["STORE"]

NAMES = {"vectors": "v", "metadata": "m", "documents": "d"}
DISTANCES = {"cosine": "1 - cosineDistance(v, {q})", "dot": "dotProduct(v, {q})", "l2": "-L2Distance(v, {q})"}
SETTINGS = {"max_query_size": 268_435_456, "max_ast_elements": 10_000_000, "max_expanded_ast_elements": 10_000_000}


@dataclass(frozen=True, slots=True)
class Options(LoginOptions):
    """What the query of the URL may set."""

    timeout: float = 120.0
    """Seconds after which a call that got no answer has failed."""
    keep_minutes: float = 60.0
    """How long `optimize` leaves words that no record names; a batch that takes longer than this loses its words."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> ClickHouse:
    """Open the collection; it is made if it does not exist."""
    try:
        import clickhouse_connect
    except ImportError as error:
        raise MissingPackage("clickhouse_connect", purpose="clickhouse://", install="dizuo[clickhouse]") from error
    # clickhouse-connect also writes a line for every connection that fails.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
    folder: Path | None = None
    with map_errors(str(url), opening=True):
        if url.host is None:
            if not url.path.strip("/"):
                raise VectorError("clickhouse:// names no server and no folder", hint="clickhouse://HOST:8123/default")
            folder = Path(url.path).expanduser().resolve()
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                import chdb  # noqa: F401
            except ImportError as error:
                raise MissingPackage("chdb", purpose=f"clickhouse://{url.path}", install="chdb") from error
            check_client("chdb")
            client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
        else:
            secure = url.extra == "https"
            client = clickhouse_connect.get_client(
                host=url.host,
                port=url.port or (8443 if secure else 8123),
                secure=secure,
                username=url.user or "default",
                password=url.password or "",
                database=url.path.strip("/") or "default",
                connect_timeout=5,
                send_receive_timeout=int(options.timeout),
                query_retries=0,  # `VectorStore` tries again, and says so
                autogenerate_session_id=False,
            )
    return open_or_close(ClickHouse(client, str(url), folder, options), request)


class ClickHouse:
    """A collection in ClickHouse; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 10_000
    batch_bytes = 64 * 2**20
    spec: CollectionSpec
    root: str
    table: str
    generation: str

    sidecar_folder: Path | None = None

    def __init__(self, client: Any, address: str, folder: Path | None, options: Options) -> None:
        self.client, self.address, self.folder, self.options = client, address, folder, options
        self.capabilities = Capabilities(
            several_writers=folder is None,
            persistent=True,
            atomic_batches=True,
            index=False,
            filters=FILTERS,
            lexical="portable",
            notes={
                "several_writers": "chdb locks its folder for one process; use a server",
                "index": "compares all vectors: its vector index does not see replaced rows",
            },
        )

    def open(self, request: CollectionRequest) -> None:
        """Find or make the collection; the comment of its root table has mark, dim and metric."""
        self.root = physical_name(request.collection)
        facts = self._facts()
        if facts is None:
            spec = request.check_new()
            about = {"dim": spec.dim, "metric": spec.metric, "collection": spec.collection, "words": TOKENIZER}
            text = json.dumps(about | {"generation": new_generation()})
            # Of several processes one makes it, and all read whose mark it has.
            self._do(f"CREATE TABLE IF NOT EXISTS {self.root} (mark String) ENGINE = Null COMMENT {quote(text)}")
            facts = self._facts()
        if facts is None:
            raise Transient(f"the collection {request.collection!r} was dropped while it was opened")
        self.spec = request.check_existing(facts["dim"], facts["metric"])
        request.check_tokenizer(facts.get("words"))
        self.generation = facts.get("generation", "")
        self.table = generation_name(self.root, self.generation)
        self.words = f"{self.table}_words"
        if self.generation and not self._ask(f"EXISTS TABLE {self.table}")["result"][0].as_py():
            self._make_tables()

    def _make_tables(self) -> None:
        self._do(
            f"CREATE TABLE IF NOT EXISTS {self.words} (ns String, token String, p UInt64, c UInt32, "
            "at DateTime DEFAULT now()) ENGINE = MergeTree ORDER BY (ns, token, p)"
        )
        self._do(
            f"CREATE TABLE IF NOT EXISTS {self.table} (ns String, id String, v Array(Float32), m String, "
            "d Nullable(String), t Array(String), n Map(String, Float64), p UInt64, l UInt32, gone UInt8, "
            "ver UInt64 DEFAULT toUnixTimestamp64Nano(now64(9))) "
            "ENGINE = ReplacingMergeTree(ver, gone) ORDER BY (ns, id) "
            "SETTINGS allow_experimental_replacing_merge_with_cleanup = 1"
        )
        if (self._facts() or {}).get("generation") != self.generation:  # somebody has dropped it at this moment
            self._drop_tables()
            raise Transient(f"the collection {self.spec.collection!r} was dropped while it was opened")

    def _drop_tables(self) -> None:
        for table in (self.table, self.words):
            self._do(f"DROP TABLE IF EXISTS {table} SYNC")

    def _facts(self) -> dict[str, Any] | None:
        rows = self._ask(
            f"SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = {quote(self.root)}"
        )
        if not len(rows):
            return None
        facts: dict[str, Any] = json.loads(rows["comment"][0].as_py())
        return facts

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        import pyarrow as pa

        counts = [Counter(tokens) for tokens in block.tokens]
        lengths = np.array([len(tokens) for tokens in block.tokens], np.uint32)
        places = np.random.default_rng().integers(1, 2**64, len(block), np.uint64) * (lengths > 0)
        distinct = [len(count) for count in counts]
        postings = pa.table(
            {
                "ns": pa.repeat(pa.scalar(namespace), sum(distinct)),
                "token": pa.array([token for count in counts for token in count], pa.string()),
                "p": pa.array(np.repeat(places, distinct)),
                "c": pa.array([number for count in counts for number in count.values()], pa.uint32()),
            }
        )
        if len(postings):
            with self._map_errors():
                self.client.insert_arrow(self.words, postings)
        self._insert(namespace, block, places, lengths)

    def _insert(self, namespace: str, block: Block, places: Any, lengths: Any) -> None:
        """Write records, whose postings are there already, under these numbers."""
        import pyarrow as pa

        rows = len(block)
        flats = [flatten(row) for row in block.metadata]
        numbers = [list(flat.numbers.items()) for flat in flats]
        vectors = pa.ListArray.from_arrays(
            pa.array(np.arange(rows + 1, dtype=np.int32) * self.spec.dim),
            pa.array(np.ascontiguousarray(block.vectors).reshape(-1)),
        )
        table = pa.table(
            {
                "ns": pa.repeat(pa.scalar(namespace), rows),
                "id": block.ids_arrow,
                "v": vectors,
                "m": block.metadata_arrow,
                "d": block.documents_arrow,
                "t": pa.array([flat.tags for flat in flats], pa.list_(pa.string())),
                "n": pa.array(numbers, pa.map_(pa.string(), pa.float64())),
                "p": pa.array(places, pa.uint64()),
                "l": pa.array(lengths, pa.uint32()),
                "gone": pa.array(np.zeros(rows, np.uint8)),
            }
        )
        with self._map_errors():
            self.client.insert_arrow(self.table, table)

    def set_metadata(self, namespace: str, block: Block) -> int:
        columns: Columns = frozenset({"vectors", "documents"})
        rows = self._ask(
            f"SELECT {_fields(columns)}, p, l FROM {self.table} FINAL WHERE {_with_ids(namespace, block.ids)}"
        )
        new = dict(zip(block.ids, block.metadata_texts, strict=True))
        if len(rows):
            old = self._to_block(rows, columns)
            texts = [new[id] for id in old.ids]
            changed = Block(old.ids, old.vectors, texts, old.documents)
            self._insert(namespace, changed, rows["p"].combine_chunks(), rows["l"].combine_chunks())
        return len(rows)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        condition, same = flatten_filter(where)
        if ids is None and not same:
            ids = [id for block in self._scan_rows(namespace, where, frozenset(), 10_000) for id in block.ids]
        rows = in_namespace(namespace, condition)
        if ids is not None:
            if not ids:
                return 0
            rows = _with_ids(namespace, ids)
        num_removed = int(self._ask(f"SELECT count() AS c FROM {self.table} FINAL WHERE {rows}")["c"][0].as_py())
        if num_removed:
            self._do(
                f"INSERT INTO {self.table} (ns, id, v, m, d, t, n, p, l, gone) "
                f"SELECT ns, id, [], '', NULL, [], map(), 0, 0, 1 FROM {self.table} FINAL WHERE {rows}"
            )
        return num_removed

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        if not ids:
            return self._to_block(None, columns)
        where = _with_ids(namespace, ids)
        return self._to_block(self._ask(f"SELECT {_fields(columns)} FROM {self.table} FINAL WHERE {where}"), columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, same = flatten_filter(where)
        if not same:
            rows = self._scan_rows(namespace, where, columns | {"vectors"}, 10_000)
            return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)
        results = []
        for query in queries:
            numbers = ", ".join(map(repr, query.tolist()))
            score = DISTANCES[self.spec.metric].format(q=f"CAST([{numbers}], 'Array(Float32)')")
            hits = self._ask(
                f"SELECT {_fields(columns)}, {score} AS score FROM {self.table} FINAL "
                f"WHERE {in_namespace(namespace, condition)} ORDER BY score DESC, id LIMIT {k}"
            )
            scores = hits["score"].to_numpy().astype(np.float64)
            results.append(SearchResult(self._to_block(hits, columns), scores, "exact", len(hits)))
        return results

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        tokens = query_tokens(query)
        condition, same = flatten_filter(where)
        ids: list[str] = []
        scores: list[float] = []
        fetched, page = 0, k if same else max(1000, 4 * k)
        while tokens and len(ids) < k:
            hits = self._ask(self._words_query(namespace, tokens, condition, same, page, fetched))
            rows = hits["score"].to_pylist()
            if same:
                ids, scores = hits["id"].to_pylist(), rows
            elif rows:
                of = dict(zip(hits["id"].to_pylist(), rows, strict=True))
                blocks = filter_blocks([Block(list(of), None, hits["m"].to_pylist())], where)
                more = [id for block in blocks for id in block.ids][: k - len(ids)]
                ids += more
                scores += [of[id] for id in more]
            fetched += len(rows)
            if len(rows) < page:
                break
        return SearchResult(Block(ids), np.array(scores, np.float64), "exact", fetched)

    def _words_query(
        self, namespace: str, tokens: list[str], condition: Condition, same: bool, limit: int, offset: int
    ) -> str:
        """Return the query for the best by BM25; N, n and avgdl are those of the whole namespace."""
        space = f"ns = {quote(namespace)}"
        live = f"FROM {self.table} FINAL WHERE {space} AND l > 0"
        share = SQL_WEIGHT.format(
            documents="total.1", matching="matching", count="c", length="l", average="(total.2 / total.1)"
        )
        # The postings of removed and replaced records find no record in this join.
        shown = "id" if same else "id, any(m) AS m"
        text = "" if same else ", m"
        return (
            f"WITH (SELECT (toFloat64(count()), toFloat64(sum(l))) {live}) AS total "
            f"SELECT {shown}, sum({share}) AS score FROM ("
            f"SELECT id, l, ok, c, count() OVER (PARTITION BY token) AS matching{text} "
            f"FROM (SELECT id, p, l, ({write_condition(condition)}) AS ok{text} {live}) AS r "
            f"INNER JOIN (SELECT token, p, c FROM {self.words} WHERE {space} "
            f"AND token IN ({', '.join(map(quote, tokens))})) AS w ON r.p = w.p"
            f") WHERE ok GROUP BY id ORDER BY round(score, 9) DESC, id LIMIT {limit} OFFSET {offset}"
        )

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(namespace, self.namespaces, lambda name: self._scan_rows(name, where, columns, rows))

    def _scan_rows(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        """Yield the rows that match, in the order of ids, which is that of the table."""
        condition, same = flatten_filter(where)
        needed = columns if same else columns | {"metadata"}
        last = ""
        while True:
            page = self._ask(
                f"SELECT {_fields(needed)} FROM {self.table} FINAL "
                f"WHERE {in_namespace(namespace, condition)} AND id > {quote(last)} ORDER BY id LIMIT {rows}"
            )
            if not len(page):
                return
            yield from filter_blocks([self._to_block(page, needed)], None if same else where)
            if len(page) < rows:
                return
            last = page["id"][-1].as_py()

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        condition, same = flatten_filter(where)
        if not same:
            names = [namespace] if namespace is not None else list(self.namespaces())
            return sum(len(block) for name in names for block in self._scan_rows(name, where, frozenset(), 10_000))
        rows = in_namespace(namespace, condition)
        return int(self._ask(f"SELECT count() AS c FROM {self.table} FINAL WHERE {rows}")["c"][0].as_py())

    def namespaces(self) -> Mapping[str, int]:
        rows = self._ask(f"SELECT ns, count() AS c FROM {self.table} FINAL GROUP BY ns ORDER BY ns")
        return dict(zip(rows["ns"].to_pylist(), rows["c"].to_pylist(), strict=True))

    def _to_block(self, table: pa.Table | None, columns: Columns) -> Block:
        if table is None or not len(table):
            empty: Floats = np.empty((0, self.spec.dim), np.float32)
            return Block(
                [],
                empty if "vectors" in columns else None,
                [] if "metadata" in columns else None,
                [] if "documents" in columns else None,
            )
        vectors: Floats | None = None
        if "vectors" in columns:
            flat = table["v"].combine_chunks().flatten()
            vectors = np.asarray(flat.to_numpy(zero_copy_only=False), np.float32).reshape(len(table), self.spec.dim)
        return Block(
            table["id"].to_pylist(),
            vectors,
            table["m"].to_pylist() if "metadata" in columns else None,
            table["d"].to_pylist() if "documents" in columns else None,
        )

    # ---- the collection

    def check(self) -> None:
        facts = self._facts()
        if facts is None or facts.get("generation", "") != self.generation:
            raise CollectionGone(self.spec.collection, remade=facts is not None)

    def refresh(self) -> None:
        """Nothing to do: what was inserted is visible."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        self._do(f"OPTIMIZE TABLE {self.table} FINAL CLEANUP")
        self._do(
            f"ALTER TABLE {self.words} DELETE WHERE at <= now() - {int(60 * self.options.keep_minutes)} "
            f"AND p NOT IN (SELECT p FROM {self.table} FINAL) SETTINGS mutations_sync = 1"
        )
        self._do(f"OPTIMIZE TABLE {self.words} FINAL")

    def info(self) -> EngineInfo:
        answer = self._ask(
            "SELECT version() AS version, (SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND "
            f"database = currentDatabase() AND table IN ({quote(self.table)}, {quote(self.words)})) AS bytes"
        )
        name = "ClickHouse" if self.folder is None else "ClickHouse in the process (chdb)"
        details = {"bytes": answer["bytes"][0].as_py()}
        version = str(answer["version"][0].as_py())
        return EngineInfo(name, version, "none", 0, where=f"{self.address} {self.table}", details=details)

    def drop(self) -> None:
        if self._facts() is not None:
            self.check()
            self._do(f"DROP TABLE IF EXISTS {self.root} SYNC")
        self._drop_tables()

    def close(self) -> None:
        self.client.close()

    # ---- inside

    def _ask(self, query: str) -> pa.Table:
        with self._map_errors():
            return self.client.query_arrow(query, settings=SETTINGS, use_strings=True)

    def _do(self, statement: str) -> None:
        with self._map_errors():
            self.client.command(statement, settings=SETTINGS)

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        with map_errors(self.address, collection=self.spec.collection if hasattr(self, "spec") else None):
            yield


def _fields(columns: Columns) -> str:
    return ", ".join(["id", *(NAMES[column] for column in sorted(columns))])


def _with_ids(namespace: str, ids: Sequence[str]) -> str:
    return f"ns = {quote(namespace)} AND id IN ({', '.join(map(quote, ids))})"


@contextmanager
def map_errors(address: str, *, opening: bool = False, collection: str | None = None) -> Iterator[None]:
    """Turn clickhouse-connect's exceptions into ours; once a collection is open, a table that is missing is its own."""
    import urllib3
    from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

    try:
        yield
    except (ClickHouseError, urllib3.exceptions.HTTPError) as error:
        text = str(error)
        if getattr(error, "code", None) == 516 or "AUTHENTICATION_FAILED" in text or "code: 516" in text:
            raise Denied(f"{address} refused the user or password", hint="check the address") from error
        if "Unable to open the chdb engine" in text:
            hint = "one process opens one folder at a time, and one folder is open in one process"
            raise VectorError(f"{address} cannot be opened: {text}", hint=hint) from error
        if collection is not None and "UNKNOWN_TABLE" in text:
            raise CollectionGone(collection) from error
        if isinstance(error, OperationalError | urllib3.exceptions.HTTPError):
            if opening:
                hint = "is the server running, and its HTTP port right (8123)?"
                raise Unreachable(f"no ClickHouse answers at {address}", hint=hint) from error
            raise Transient(f"{address} does not answer: {text}", hint="is the server running?") from error
        raise VectorError(f"ClickHouse: {text}") from error


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=("http", "https"))
