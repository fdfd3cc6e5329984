"""Milvus: Lite in a file of this machine (`milvus://PATH.db`) or a server (`milvus://user:password@host:19530`).

Tested against Milvus Lite 3.2.2, which is an implementation of its own, and the standalone server 2.3.5. Both hold a
record as: `pk` a hash of namespace and id, `id`, `ns` a hash of the namespace, `v` the vector, `m` and `d` metadata
and document as pieces of text (a text field ends at 65,535 bytes), `t` tags and `n` numbers for filters
(`dizuo.vectors.exact.tags_and_numbers`). Pitfalls:

- a quote, a backslash or a line break in an id breaks the expression that pymilvus or Lite makes of it; so no text of
  a user is ever part of an expression, only hashes;
- their `!=`, `not in` and missing keys disagree with each other; only tags are ever negated here;
- Lite's HNSW loses filtered rows (recall .50, measured), so Lite has an exact index; the server has HNSW, and what it
  cannot do, an exact search, is read and compared here;
- the server finds what was written only under Strong consistency, so every call sends `consistency_level="Strong"`;
- the server has neither BM25 nor sparse vectors before 2.4, and Lite counts documents and lengths by segment, not by
  namespace; so words are searched in dizuo's side-car;
- the server indexes sealed segments half a second or minutes later: `optimize` waits for it;
- neither lists the namespaces of a collection: rows with `ns` = `!` name them, and the first says dim and metric;
- pymilvus keeps what it has read of a collection by its name, so a name ends in a mark and never comes back.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors import scores
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import LoginOptions
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import (
    AllOf,
    AnyOf,
    Condition,
    Has,
    Lacks,
    Number,
    flatten,
    flatten_filter,
    split_tags,
)
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, RowErrors
from dizuo.vectors.protocol.guard import check_client
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.stores.milvus import collections as collections
from dizuo.vectors.stores.milvus.errors import map_errors
from dizuo.vectors.stores.milvus.limits import LIMITS, LITE, PIECE, QUERIES, SERVER, WINDOW, find_fault
from dizuo.vectors.stores.milvus.lite import start_lite_server, stop_lite_server
from dizuo.vectors.writing.naming import find_generations, generation_name, new_generation, physical_name
from dizuo.vectors.writing.retrying import send_batches

__all__ = ["STORE"]

NAMES = {"vectors": "v", "metadata": "m", "documents": "d"}
PATIENCE = 600.0
"""Seconds that `optimize` waits for the server to flush, and then for its index."""
MARK = "!"
QUIET = {"grpc.keepalive_time_ms": 3_600_000}
"""pymilvus pings every 10 s, and Lite's server closes the connection of a client that does (too_many_pings)."""


@dataclass(frozen=True, slots=True)
class Options(LoginOptions):
    """What the query of the URL may set."""

    m: int = 16
    """Links per vector in the server's HNSW graph; only at the making of a collection."""
    ef_construction: int = 200
    """Candidates looked at while a vector is linked; only at the making of a collection."""
    ef: int = 200
    """Candidates looked at in a search, at least k."""
    timeout: float = 60.0
    """Seconds after which a call that got no answer has failed."""
    database: str = ""
    """Milvus' database, on a server that has several."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Milvus:
    """Open the collection; it is made if it does not exist."""
    try:
        from pymilvus import MilvusClient
    except ImportError as error:
        raise MissingPackage("pymilvus", purpose="milvus://", install="dizuo[milvus]") from error
    # pymilvus also writes the traceback of every failed call to the standard error.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    check_client("pymilvus")  # gRPC
    lite = not url.extra and url.place.endswith(".db")
    with map_errors(str(url), opening=True):
        if lite:
            path = Path(url.place).expanduser().resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            client = MilvusClient(uri=start_lite_server(path), grpc_options=QUIET)
            return open_or_close(Milvus(client, options, str(url), path), request)
        scheme = "https" if url.extra == "https" else "http"
        token = ":".join(part for part in (url.user, url.password) if part)
        client = MilvusClient(
            uri=f"{scheme}://{url.host or '127.0.0.1'}:{url.port or 19530}",
            token=token,
            db_name=options.database,
            timeout=min(10.0, options.timeout),
        )
        return open_or_close(Milvus(client, options, str(url), None), request)


class Milvus:
    """A collection in Milvus; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 1000
    batch_bytes = 16 * 2**20

    spec: CollectionSpec
    root: str
    name: str
    generation: str

    def __init__(self, client: Any, options: Options, address: str, path: Path | None) -> None:
        self.client, self.options, self.address, self.path = client, options, address, path
        self.lite = path is not None
        # Lite's "file" is a folder: what is inside is moved and removed with it.
        self.sidecar_folder: Path | None = None if path is None else path / "dizuo-lexical"
        self.known: set[str] = set()
        self.closed = False
        self.capabilities = Capabilities(
            several_writers=not self.lite,
            index=not self.lite,
            filters=LITE if self.lite else SERVER,
            max_dim=32_768,
            notes={
                "several_writers": "Milvus Lite locks its file for one process",
                "index": "Milvus Lite's HNSW loses filtered rows (recall .50): all vectors are compared",
                "lexical": "Milvus 2.3 has neither BM25 nor sparse vectors, and Lite counts words by segment",
            },
        )

    def open(self, request: CollectionRequest) -> None:
        """Find or make the collection."""
        self.root = physical_name(request.collection)
        with map_errors(self.address):
            held = collections.find(self.client, self.root)
            if held is None:
                self.name = generation_name(self.root, new_generation())
                self.spec = spec = request.check_new()
                graph = None if self.lite else {"M": self.options.m, "efConstruction": self.options.ef_construction}
                collections.make(self.client, self.name, spec, graph)
                self._write_facts(spec)
                held = collections.find(self.client, self.root) or self.name
                if held != self.name:
                    self.client.drop_collection(self.name)  # another process was faster
            self.name = held
            self.generation = find_generations(self.root, [held])[held]
            self.client.load_collection(self.name)
            marks = self._query(f'pk == "{MARK}"', ["m"], 1)
            if not marks:  # made by a process that was killed right after, or that is about to write the mark
                self.spec = request.check_new()
                self._write_facts(self.spec)
                marks = self._query(f'pk == "{MARK}"', ["m"], 1)
        facts = json.loads("".join(marks[0]["m"]))
        self.spec = request.check_existing(facts["dim"], facts["metric"])

    def _write_facts(self, spec: CollectionSpec) -> None:
        self._write_mark(MARK, json.dumps({"dim": spec.dim, "metric": spec.metric, "collection": spec.collection}))

    def _write_mark(self, key: str, text: str) -> None:
        vector = np.zeros(self.spec.dim, np.float32)
        vector[0] = 1.0
        row = {"pk": key, "id": "", "ns": MARK, "v": vector, "t": [MARK], "m": _cut_text(text), "d": [""], "n": {}}
        self.client.upsert(self.name, [row])

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        digest = _hash_namespace(namespace)
        rows = []
        refused: dict[str, str] = {}
        for id, vector, row, text, document in zip(
            block.ids, block.vectors, block.metadata, block.metadata_texts, block.documents, strict=True
        ):
            flat = flatten(row)
            held = {"t": flat.tags, "n": flat.numbers}
            held |= {"m": _cut_text(text), "d": _cut_text("" if document is None else f"={document}")}
            if fault := find_fault(held):
                refused[id] = fault
            else:
                rows.append({"pk": _record_key(digest, id), "id": id, "ns": digest, "v": vector, **held})
        with self._map_errors():
            if namespace not in self.known:
                self._write_mark(f"{MARK}{digest}", json.dumps(namespace))
                self.known.add(namespace)
            if rows:
                self.client.upsert(self.name, rows)
        if refused:
            raise RowErrors(refused)

    def set_metadata(self, namespace: str, block: Block) -> int:
        # Milvus 2.3 replaces whole records only.
        old = self.fetch(namespace, block.ids, columns=frozenset({"vectors", "documents"}))
        new = dict(zip(block.ids, block.metadata_texts, strict=True))
        if len(old):
            texts = [new[id] for id in old.ids]
            self.upsert(namespace, Block(old.ids, old.vectors, texts, old.documents), wait=True)
        return len(old)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        if ids is None:
            ids = [id for block in self._scan_rows(namespace, where, frozenset(), 5000) for id in block.ids]
        else:
            ids = self.fetch(namespace, ids, columns=frozenset()).ids
        digest = _hash_namespace(namespace)

        def remove(part: Sequence[str]) -> None:
            with self._map_errors():
                self.client.delete(self.name, filter=_with_ids(digest, part), timeout=self.options.timeout)

        send_batches(ids, self.batch_rows, remove)
        return len(ids)

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        digest = _hash_namespace(namespace)
        rows: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), self.batch_rows):
            part = ids[start : start + self.batch_rows]
            with self._map_errors():
                rows += self._query(_with_ids(digest, part), _fields(columns), len(part))
        return self._to_block(rows, columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, same = flatten_filter(where)
        most = WINDOW if self.lite else 10 * k
        if not same or (exact and not self.lite) or k >= WINDOW:
            return self._compare_all(namespace, queries, k, where, columns)
        text = _in_namespace(namespace, condition)
        # Many queries go in one call: a strongly consistent call waits for 0.2 s, however many queries it has.
        want = min(k + 1, most)
        parts = [queries[start : start + QUERIES] for start in range(0, len(queries), QUERIES)]
        firsts = [result for part in parts for result in self._search_index(text, part, want, columns)]
        results = []
        for query, first in zip(queries, firsts, strict=True):

            def ask(number: int, query: Floats = query, first: SearchResult = first) -> SearchResult:
                return first if number == want else self._search_index(text, query[None], number, columns)[0]

            result = include_ties(ask, k, most=most)
            if len(result.scores) < k and not self.lite:  # either no more rows match, or the graph did not reach them
                result = self._compare_all(namespace, query[None], k, where, columns)[0]
            results.append(result)
        return results

    def _search_index(self, text: str, queries: Floats, number: int, columns: Columns) -> list[SearchResult]:
        number = min(number, WINDOW)
        with self._map_errors():
            answers = self.client.search(
                self.name,
                data=list(queries),
                anns_field="v",
                filter=text,
                limit=number,
                output_fields=_fields(columns),
                search_params={"params": {} if self.lite else {"ef": max(number, self.options.ef)}},
                consistency_level="Strong",
                timeout=self.options.timeout,
            )
        results = []
        for hits in answers:
            distances = np.array([hit["distance"] for hit in hits], np.float64)
            hit_scores = scores.from_squared_distance(distances) if self.spec.metric == "l2" else distances
            block = self._to_block([hit["entity"] for hit in hits], columns)
            results.append(SearchResult(block, hit_scores, "exact" if self.lite else "index", len(hits)))
        return results

    def _compare_all(
        self, namespace: str, queries: Floats, k: int, where: Filter | None, columns: Columns
    ) -> list[SearchResult]:
        rows = self._scan_rows(namespace, where, columns | {"vectors"}, 4000)
        return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        raise AssertionError("words are in the side-car")

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(
            namespace, self._list_namespaces, lambda name: self._scan_rows(name, where, columns, rows)
        )

    def _scan_rows(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        condition, same = flatten_filter(where)
        needed = columns if same else columns | {"metadata"}
        rows = min(rows, WINDOW)
        last = _hash_namespace(namespace)
        text = _in_namespace(namespace, condition)
        while True:
            with self._map_errors():
                # Lite answers in the order of keys only if it is asked as for an iterator.
                got = self._query(f'{text} and pk > "{last}"', ["pk", *_fields(needed)], rows, iterator="True")
            if not got:
                return
            yield from filter_blocks([self._to_block(got, needed)], None if same else where)
            if len(got) < rows:
                return
            last = max(row["pk"] for row in got)

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        if namespace is None:
            return sum(self.count(name, where=where) for name in self._list_namespaces())
        condition, same = flatten_filter(where)
        if not same:
            return sum(len(block) for block in self._scan_rows(namespace, where, frozenset(), 5000))
        with self._map_errors():
            got = self._query(_in_namespace(namespace, condition), ["count(*)"], None)
        return int(got[0]["count(*)"])

    def namespaces(self) -> Mapping[str, int]:
        counts = {name: self.count(name, where=None) for name in self._list_namespaces()}
        return {name: count for name, count in counts.items() if count}

    def _list_namespaces(self) -> list[str]:
        with self._map_errors():
            marks: list[dict[str, Any]] = []
            while len(page := self._query(_marks_after(marks), ["pk", "m"], WINDOW, iterator="True")) == WINDOW:
                marks += page
        return sorted(json.loads("".join(row["m"])) for row in [*marks, *page] if row["pk"] != MARK)

    def _query(self, text: str, fields: list[str], limit: int | None, **more: Any) -> list[dict[str, Any]]:
        window = {} if limit is None else {"limit": limit}
        got = self.client.query(
            self.name,
            filter=text,
            output_fields=fields,
            consistency_level="Strong",
            timeout=self.options.timeout,
            **window,
            **more,
        )
        return list(got)

    def _to_block(self, rows: Sequence[Mapping[str, Any]], columns: Columns) -> Block:
        ids = [row["id"] for row in rows]
        vectors: Floats | None = None
        if "vectors" in columns:
            vectors = np.array([row["v"] for row in rows], np.float32).reshape(len(ids), self.spec.dim)
        documents = ["".join(row["d"]) for row in rows] if "documents" in columns else None
        return Block(
            ids,
            vectors,
            ["".join(row["m"]) for row in rows] if "metadata" in columns else None,
            None if documents is None else [text[1:] if text else None for text in documents],
        )

    # ---- the collection

    def check(self) -> None:
        with map_errors(self.address):
            names = find_generations(self.root, self.client.list_collections())
        if self.name not in names:
            raise CollectionGone(self.spec.collection, remade=bool(names))

    def refresh(self) -> None:
        """Nothing to do: every call asks for Strong consistency."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        if self.lite:
            return
        with self._map_errors():
            # The server indexes sealed segments only, and compares all vectors of growing ones.
            self.client.flush(self.name, timeout=PATIENCE)
            began, pause = time.monotonic(), 0.05
            while pending := self._count_pending():  # the server indexes later, and tells what is left
                if time.monotonic() - began > PATIENCE:
                    raise VectorError(
                        f"{self.address} has left {pending:,} rows without an index for {PATIENCE:.0f} s",
                        hint="is its index node running? optimize again later",
                    )
                time.sleep(pause)
                pause = min(2 * pause, 1.0)
            self.client.refresh_load(self.name, timeout=PATIENCE)

    def _count_pending(self) -> int:
        """Return how many rows of sealed segments the index does not cover yet."""
        return int(self.client.describe_index(self.name, "v").get("pending_index_rows", 0))

    def info(self) -> EngineInfo:
        with self._map_errors():
            version = str(self.client.get_server_version())
            pending = self._count_pending()
        rows = sum(self.namespaces().values())
        kind = "none" if self.lite else "hnsw"
        covered = 0 if self.lite else max(0, rows - pending)
        name = "Milvus Lite" if self.lite else "Milvus"
        details = {} if self.lite else {"M": self.options.m, "ef": self.options.ef}
        return EngineInfo(name, version, kind, covered, where=f"{self.address} {self.name}", details=details)

    def drop(self) -> None:
        with map_errors(self.address):
            if find_generations(self.root, self.client.list_collections()):
                self.check()
                self.client.drop_collection(self.name)
        self.known.clear()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.client.close()
            if self.path is not None:
                stop_lite_server(self.path)

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        with map_errors(self.address, collection=self.spec.collection if hasattr(self, "spec") else None):
            yield


def _hash_namespace(namespace: str) -> str:
    return hashlib.sha256(namespace.encode()).hexdigest()[: collections.DIGEST]


def _fields(columns: Columns) -> list[str]:
    return ["id", *(NAMES[column] for column in sorted(columns))]


def _cut_text(text: str) -> list[str]:
    """Return the text cut into pieces of at most 60,000 bytes in UTF-8; one empty piece where it is empty."""
    if len(text) * 4 <= PIECE:
        return [text]
    size = PIECE // 4
    return [text[start : start + size] for start in range(0, len(text), size)]


def _record_key(digest: str, id: str) -> str:
    return digest + base64.b32encode(hashlib.blake2b(id.encode(), digest_size=20).digest()).decode().lower()


def _with_ids(digest: str, ids: Sequence[str]) -> str:
    keys = ", ".join(f'"{_record_key(digest, id)}"' for id in ids)
    return f"pk in [{keys}]"


def _marks_after(marks: Sequence[Mapping[str, Any]]) -> str:
    """Return the condition of the marks that come after these in the order of keys."""
    last = max((row["pk"] for row in marks), default="")
    return f'ns == "{MARK}" and pk > "{last}"'


def _in_namespace(namespace: str, condition: Condition) -> str:
    inner = _write_condition(condition)
    space = f'ns == "{_hash_namespace(namespace)}"'
    return space if inner is None else f"{space} and ({inner})"


def _write_condition(condition: Condition) -> str | None:
    """Return a condition as an expression; None is true for all. Tags and columns need no escaping."""
    match condition:
        case Has(tag):
            return f'array_contains(t, "{tag}")'
        case Lacks(tag):
            return f'not array_contains(t, "{tag}")'
        case Number(column, order, value):
            return f'n["{column}"] {order} {value!r}'
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            inner = [f"not {_write_tags(lacking)}"] if lacking else []
            return " and ".join([*inner, *(f"({_write_condition(part)})" for part in others)]) or None
        case AnyOf(parts):
            having, others = split_tags(parts, Has)
            inner = [_write_tags(having)] if having else []
            never = f'array_contains(t, "{MARK}")'
            return " or ".join([*inner, *(f"({_write_condition(part)})" for part in others)]) or never
    raise AssertionError(condition)


def _write_tags(tags: list[str]) -> str:
    return f"array_contains_any(t, {json.dumps(tags)})" if len(tags) > 1 else f'array_contains(t, "{tags[0]}")'


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="either", extras=("http", "https"))
