"""Redis with the search module, `redis://:password@host:6379/0`; `redis+tls://` for TLS.

Tested against Redis 8.2 with RediSearch 2.10. A record is a hash: `v` has the bytes of the vector, `m` the metadata as
JSON, `d` the document, `t` the tags and further fields the numbers that filters read (`exact/tags_and_numbers.py`), and
`o` a hash of the id, in whose order scans go. Every namespace has an index of its own. All keys of a collection begin
with its mark, but for the one that says which mark it has. Pitfalls:

- a filter can read a number only if its field is in the schema of the index, and adding a field builds the whole index
  anew, vectors too (minutes for 20,000, measured). So the schema has fields for numbers from the start (`slots.py`);
- a server that was restarted builds its indexes while it answers already: after every new connection we wait for them;
- answers are cut at 10 rows, and at what was found after 500 ms, unless the command says otherwise, as ours do;
- `exact=True` is the module's own brute force, which needs a filter: the tag that all records have;
- its BM25 is wrong after records were replaced: dizuo keeps postings of its own in Redis (`words.py`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors import scores
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import LoginOptions
from dizuo.vectors.exact.places import place_of, split_places
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import ON_EVERY_RECORD, Condition, FlatMetadata, flatten
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import TOKENIZER, query_tokens
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, Transient
from dizuo.vectors.protocol.store import Columns, SearchResult
from dizuo.vectors.stores.redis.answers import pairs, text_of
from dizuo.vectors.stores.redis.errors import map_errors
from dizuo.vectors.stores.redis.filters import may_skip, write_query, write_window
from dizuo.vectors.stores.redis.limits import ANSWERS, FILTERS, LIMITS
from dizuo.vectors.stores.redis.scripts import CHANGE, REMOVE
from dizuo.vectors.stores.redis.slots import Slots
from dizuo.vectors.stores.redis.wire import pack_hash
from dizuo.vectors.stores.redis.words import Words
from dizuo.vectors.writing.naming import generation_name, new_generation, physical_name

__all__ = ["STORE"]

DISTANCES = {"cosine": "COSINE", "dot": "IP", "l2": "L2"}
FEW = 5000
"""Records that match a filter up to which all of them are listed, where the best by words are looked for among them."""
NAMES = {"vectors": "v", "metadata": "m", "documents": "d"}
METADATA: Columns = frozenset({"metadata"})


@dataclass(frozen=True, slots=True)
class Options(LoginOptions):
    """What the query of the URL may set."""

    m: int = 16
    """Links per vector in the HNSW graph; only at the making of a namespace."""
    ef_construction: int = 200
    """Candidates looked at while a vector is linked; only at the making of a namespace."""
    ef_runtime: int = 200
    """Candidates looked at in a search, at least k."""
    slots: int = 64
    """Numbers whose order filters can ask for without reading metadata, over all keys: one for a number, up to four for
    a text; only at the making of a collection, at most 900. Each takes the server 0.15 µs for every record written."""
    timeout: float = 60.0
    """Seconds after which a call that got no answer has failed."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Redis:
    """Open the collection; it is made if it does not exist."""
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise MissingPackage("redis", purpose="redis://", install="dizuo[redis]") from error
    database = url.path.strip("/") or "0"
    if not database.isdecimal():
        raise VectorError(f"{url} names the database {database!r}, and Redis numbers them", hint="redis://HOST:PORT/0")
    client = redis.Redis(
        host=url.host or "127.0.0.1",
        port=url.port or 6379,
        db=int(database),
        username=url.user or None,
        password=url.password or None,
        ssl=url.extra == "tls",
        protocol=2,
        socket_connect_timeout=5.0,
        socket_timeout=options.timeout,
        retry=Retry(NoBackoff(), 0),  # `VectorStore` tries again, and says so
    )
    return Redis(client, request, options, str(url))


@dataclass(slots=True)
class _Prepared:
    """What `upsert` sends of a block."""

    flats: list[FlatMetadata]
    rows: list[dict[str, Any]] = field(default_factory=list)
    """The fields of each hash; none where the server is to be asked for fields first."""
    packed: list[bytes] | None = None
    """The commands that write them, where no record of the block has words."""


class Redis:
    """A collection in Redis; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 1000
    batch_bytes = 16 * 2**20
    sidecar_folder: Path | None = None
    capabilities = Capabilities(atomic_batches=True, filters=FILTERS, lexical="portable")

    def __init__(self, client: Any, request: CollectionRequest, options: Options, address: str) -> None:
        self.client, self.options, self.address = client, options, address
        self.key = physical_name(request.collection)
        self.ready: set[str] = set()
        """Namespaces whose index is known to cover all records."""
        pool = client.connection_pool
        pool.connection_kwargs["redis_connect_func"] = self._on_connect
        self.change, self.remove = client.register_script(CHANGE), client.register_script(REMOVE)
        self.words = Words(client)
        self.spec = self._open(request)

    def _on_connect(self, connection: Any) -> None:
        connection.on_connect()
        # The server may have been restarted, and be building its indexes.
        self.ready.clear()

    def _open(self, request: CollectionRequest) -> CollectionSpec:
        with self._map_errors(opening=True):
            stored = self.client.get(self.key)
            if stored is None:
                spec = request.check_new()
                facts: dict[str, Any] = {"dim": spec.dim, "metric": spec.metric, "collection": spec.collection}
                facts |= {"slots": self.options.slots, "words": TOKENIZER, "generation": new_generation()}
                self.client.execute_command("FT._LIST")  # fails where the search module is missing
                self.client.set(self.key, json.dumps(facts), nx=True)
                stored = self.client.get(self.key)
        if stored is None:
            raise Transient(f"the collection {request.collection!r} was dropped while it was opened")
        self.stored, facts = stored, json.loads(stored)
        self.generation = facts.get("generation", "")
        self.root = generation_name(self.key, self.generation)
        self.slots = Slots(self.client, f"{self.root}:slots", int(facts["slots"]))
        request.check_tokenizer(facts.get("words"))
        return request.check_existing(facts["dim"], facts["metric"])

    # ---- writing

    def prepare(self, namespace: str, block: Block) -> None:
        flats = [flatten(row) for row in block.metadata]
        block.prepared = _Prepared(flats)
        if not self.slots.missing(flats):
            self._complete(block.prepared, namespace, block)

    def _complete(self, prepared: _Prepared, namespace: str, block: Block) -> None:
        """Make the hashes of a block whose numbers have their fields, and pack those that need no script."""
        raw = np.ascontiguousarray(block.vectors)
        prepared.rows = rows = self.slots.fields(prepared.flats, block.metadata_texts)
        for row, id, vector, document in zip(rows, block.ids, raw, block.documents, strict=True):
            row["v"], row["o"] = vector.tobytes(), str(place_of(id))
            if document is not None:
                row["d"] = document
        if block.documents_arrow.null_count == len(block):
            name = self._name_index(namespace)
            prepared.packed = [pack_hash(f"{name}:{id}", row) for id, row in zip(block.ids, rows, strict=True)]

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        import redis

        if block.prepared is None:
            self.prepare(namespace, block)
        name = self._open_index(namespace, make=True)
        prepared: _Prepared = block.prepared
        if not prepared.rows:
            with self._map_errors():
                self.slots.assign(prepared.flats)
            self._complete(prepared, namespace, block)
        with self._map_errors():
            try:
                watched = (self.key, self.stored)
                self.words.put(name, block.ids, prepared.rows, block.documents_arrow, watched, prepared.packed)
            except redis.WatchError:  # a collection that is dropped before all of it is written gets nothing
                self.check()
                raise Transient(f"the collection {self.spec.collection!r} was touched while it was written") from None
            self.words.compact_if_worth(name)

    def set_metadata(self, namespace: str, block: Block) -> int:
        name = self._open_index(namespace)
        if name is None:
            return 0
        flats = [flatten(row) for row in block.metadata]
        with self._map_errors():
            self.slots.assign(flats)
            rows = self.slots.fields(flats, block.metadata_texts)
            pipe = self.client.pipeline(transaction=True)
            for id, row in zip(block.ids, rows, strict=True):
                pairs = [part for pair in row.items() for part in pair]
                self.change(keys=[f"{name}:{id}"], args=pairs, client=pipe)
            return sum(pipe.execute())

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        name = self._open_index(namespace)
        if name is None:
            return 0
        if ids is None:
            ids = [id for block in self._scan_rows(namespace, where, frozenset(), 5000) for id in block.ids]
        removed = 0
        with self._map_errors():
            for start in range(0, len(ids), self.batch_rows):
                pipe = self.client.pipeline(transaction=True)
                self.words.remove(pipe, name, ids[start : start + self.batch_rows])
                removed += sum(pipe.execute())
            self.words.compact_if_worth(name)
        return removed

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        name = self._open_index(namespace)
        return self._read_records(name, list(ids) if name is not None else [], columns)

    def _read_records(self, name: str | None, ids: Sequence[str], columns: Columns) -> Block:
        # Every record has `m`, so a row without it does not exist.
        fields = list(dict.fromkeys(["m", *(NAMES[column] for column in sorted(columns))]))
        with self._map_errors():
            pipe = self.client.pipeline(transaction=False)
            for id in ids:
                pipe.hmget(f"{name}:{id}", fields)
            rows = [dict(zip(fields, row, strict=True)) for row in pipe.execute()] if ids else []
        there = [(id, row) for id, row in zip(ids, rows, strict=True) if row["m"] is not None]
        return self._to_block([id for id, _ in there], [row for _, row in there], columns)

    def _to_block(self, ids: list[str], rows: Sequence[Mapping[str, Any]], columns: Columns) -> Block:
        vectors: Floats | None = None
        if "vectors" in columns:
            raw = b"".join(row["v"] for row in rows)
            vectors = np.frombuffer(raw, np.float32).reshape(len(ids), self.spec.dim)
        return Block(
            ids,
            vectors,
            [row["m"].decode() for row in rows] if "metadata" in columns else None,
            [None if row.get("d") is None else row["d"].decode() for row in rows] if "documents" in columns else None,
        )

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        name = self._open_index(namespace)
        if name is None:
            return [SearchResult(self._to_block([], [], columns), np.empty(0)) for _ in queries]
        condition, same = self._condition(where)
        if not same or k >= ANSWERS:
            rows = self._scan_rows(namespace, where, columns | {"vectors"}, 1000)
            return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)
        text, results = write_query(condition, self.slots.known), []
        exact = exact or not may_skip(condition)
        for query in queries:

            def ask(number: int, exact: bool, query: Floats = query) -> SearchResult:
                return self._search_index(name, text, query, number, exact, columns)

            result = None if exact else include_ties(partial(ask, exact=False), k, most=10 * k)
            if result is None or len(result.scores) < k:  # either no more rows match, or the graph did not reach them
                result = include_ties(partial(ask, exact=True), k, most=self._count_matching(name, text))
            results.append(result)
        return results

    def _search_index(
        self, name: str, text: str, query: Floats, number: int, exact: bool, columns: Columns
    ) -> SearchResult:
        if number < 1:
            return SearchResult(self._to_block([], [], columns), np.empty(0))
        if exact:
            how = "HYBRID_POLICY ADHOC_BF "
            text = f"@t:{{{ON_EVERY_RECORD}}}" if text == "*" else text
        else:
            how = f"EF_RUNTIME {max(number, self.options.ef_runtime)} "
        first = text if text == "*" else f"({text})"
        fields = [NAMES[column] for column in sorted(columns)]
        command: list[str | bytes] = ["FT.SEARCH", name, f"{first}=>[KNN {number} @v $q {how}AS s]"]
        command += ["PARAMS", "2", "q", query.tobytes(), "RETURN", str(len(fields) + 1), "s", *fields]
        command += ["SORTBY", "s", "LIMIT", "0", str(number), "TIMEOUT", "0", "DIALECT", "2"]
        with self._map_errors():
            _, *answer = self.client.execute_command(*command)
        skip = len(name) + 1
        ids = [key.decode()[skip:] for key in answer[::2]]
        rows = [{pair[0].decode(): pair[1] for pair in zip(row[::2], row[1::2], strict=True)} for row in answer[1::2]]
        distances = np.array([float(row["s"]) for row in rows])
        from_distance = scores.from_squared_distance if self.spec.metric == "l2" else scores.from_cosine_distance
        path: Literal["exact", "index"] = "exact" if exact else "index"
        return SearchResult(self._to_block(ids, rows, columns), from_distance(distances), path, len(ids))

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        name, tokens = self._open_index(namespace), query_tokens(query)
        hits: list[tuple[str, float]] = []
        fetched = 0
        if name is not None and tokens:
            listed = None if where is None else self._few_that_match(namespace, name, where, 10 * k)
            with self._map_errors():
                for page in self.words.ranked(name, tokens, k if where is None else 4 * k):
                    fetched += len(page)
                    if listed is not None:
                        page = [hit for hit in page if hit[0] in listed]
                    elif where is not None:
                        records = self._read_records(name, [id for id, _ in page], METADATA)
                        allowed = {id for block in filter_blocks([records], where) for id in block.ids}
                        page = [hit for hit in page if hit[0] in allowed]
                    hits += page
                    if len(hits) >= k:
                        break
        hits = hits[:k]
        return SearchResult(Block([id for id, _ in hits]), np.array([score for _, score in hits]), "exact", fetched)

    def _few_that_match(self, namespace: str, name: str, where: Filter, few: int) -> set[str] | None:
        """Return the ids of all records that match, or None if these are more than a few."""
        condition, _ = self._condition(where)
        if self._count_matching(name, write_query(condition, self.slots.known)) > max(few, FEW):
            return None
        return {id for block in self._scan_rows(namespace, where, frozenset(), FEW) for id in block.ids}

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(namespace, self.namespaces, lambda name: self._scan_rows(name, where, columns, rows))

    def _scan_rows(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        name = self._open_index(namespace)
        if name is None:
            return
        condition, same = self._condition(where)
        needed = columns if same else columns | {"metadata"}
        skip = len(name) + 1
        # A cursor leaves records out, or returns them twice, when a record or the schema changes meanwhile.
        for low, high in split_places(self._count_matching(name, write_query(condition, self.slots.known)), rows):
            window = write_window(condition, self.slots.known, "o", low, high)
            with self._map_errors():
                _, *keys = self.client.execute_command(
                    "FT.SEARCH", name, window, "NOCONTENT", "LIMIT", "0", str(ANSWERS), "TIMEOUT", "0", "DIALECT", "2"
                )
            for start in range(0, len(keys), 2 * rows):
                block = self._read_records(
                    name, [key.decode()[skip:] for key in keys[start : start + 2 * rows]], needed
                )
                yield from filter_blocks([block] if len(block) else [], None if same else where)

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        if namespace is None:
            return sum(self.count(name, where=where) for name in self.namespaces())
        name = self._open_index(namespace)
        if name is None:
            return 0
        condition, same = self._condition(where)
        if not same:
            return sum(len(block) for block in self._scan_rows(namespace, where, frozenset(), 5000))
        return self._count_matching(name, write_query(condition, self.slots.known))

    def _count_matching(self, name: str, text: str) -> int:
        with self._map_errors():
            answer = self.client.execute_command(
                "FT.SEARCH", name, text, "LIMIT", "0", "0", "TIMEOUT", "0", "DIALECT", "2"
            )
        return int(answer[0])

    def namespaces(self) -> Mapping[str, int]:
        with self._map_errors():
            names = sorted(key.decode() for key in self.client.hkeys(f"{self.root}:namespaces"))
        counts = {name: self.count(name, where=None) for name in names}
        return {name: count for name, count in counts.items() if count}

    # ---- the collection

    def check(self) -> None:
        with self._map_errors():
            stored = self.client.get(self.key)
        if stored != self.stored:
            raise CollectionGone(self.spec.collection, remade=stored is not None)

    def refresh(self) -> None:
        """Nothing to do: the module indexes a hash while it is written."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        # The module keeps its HNSW graph by itself.
        with self._map_errors():
            for name in self.client.hvals(f"{self.root}:namespaces"):
                self.words.compact(name.decode())

    def info(self) -> EngineInfo:
        with self._map_errors():
            version = str(self.client.info("server")["redis_version"])
            modules = {
                text_of(module[b"name"]): module[b"ver"]
                for module in map(pairs, self.client.execute_command("MODULE", "LIST"))
            }
        number = int(modules.get("search", 0))
        version += f", search {number // 10000}.{number // 100 % 100}.{number % 100}"
        rows = sum(self.namespaces().values())
        details = {"m": self.options.m, "ef_runtime": self.options.ef_runtime}
        return EngineInfo("Redis", version, "hnsw", rows, where=f"{self.address} {self.root}", details=details)

    def drop(self) -> None:
        import redis

        with self._map_errors():
            # From here on nobody writes to it any more.
            if self.client.get(self.key) is not None and not self.remove(keys=[self.key], args=[self.stored]):
                self.check()
            for name in self.client.hvals(f"{self.root}:namespaces"):
                with suppress(redis.ResponseError):  # somebody else has dropped it
                    self.client.execute_command("FT.DROPINDEX", name, "DD")
                self.words.drop(name.decode())
            self.client.delete(f"{self.root}:namespaces", self.slots.key)
        self.ready.clear()
        self.slots.known.clear()

    def close(self) -> None:
        self.client.close()

    # ---- the index of a namespace

    def _name_index(self, namespace: str) -> str:
        return f"{self.root}.{hashlib.sha256(namespace.encode()).hexdigest()[:16]}"

    def _open_index(self, namespace: str, *, make: bool = False) -> Any:
        """Return the name of a namespace's index, which covers all records; None if it does not exist."""
        import redis

        name = self._name_index(namespace)
        if namespace in self.ready:
            return name
        with self._map_errors():
            if not self.client.hexists(f"{self.root}:namespaces", namespace):
                if not make:
                    return None
                self.check()
                options = self.options
                command = ["FT.CREATE", name, "ON", "HASH", "PREFIX", "1", f"{name}:", "STOPWORDS", "0", "SCHEMA"]
                command += ["v", "VECTOR", "HNSW", "12", "TYPE", "FLOAT32", "DIM", str(self.spec.dim)]
                command += ["DISTANCE_METRIC", DISTANCES[self.spec.metric], "M", str(options.m)]
                command += ["EF_CONSTRUCTION", str(options.ef_construction), "EF_RUNTIME", str(options.ef_runtime)]
                command += ["t", "TAG", "SEPARATOR", " ", "CASESENSITIVE", "o", "NUMERIC"]
                command += [word for slot in range(self.slots.most) for word in (f"x{slot}", "NUMERIC")]
                try:
                    self.client.execute_command(*command)
                except redis.ResponseError as error:
                    if "exists" not in str(error):
                        raise
                self.client.hset(f"{self.root}:namespaces", namespace, name)
        self._wait_for_index(name)
        self.ready.add(namespace)
        return name

    def _wait_for_index(self, name: str) -> None:
        """Wait until the index covers all records."""
        pause = 0.005
        while True:
            with self._map_errors():
                facts = pairs(self.client.execute_command("FT.INFO", name))
            if not int(facts[b"indexing"]) and float(facts[b"percent_indexed"]) >= 1:
                return
            time.sleep(pause)
            pause = min(2 * pause, 0.25)

    def _condition(self, where: Filter | None) -> tuple[Condition, bool]:
        """Return a filter as a condition on fields of the index, and whether it means the same."""
        with self._map_errors():
            return self.slots.condition(where)

    def _map_errors(self, *, opening: bool = False) -> AbstractContextManager[None]:
        return map_errors(self.address, opening=opening, collection="" if opening else self.spec.collection)


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=("tls",))
