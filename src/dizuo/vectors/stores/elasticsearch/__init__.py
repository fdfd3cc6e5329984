"""Elasticsearch 8.15 to 9, `elasticsearch://user:password@host:9200` or `elasticsearch+https://…`; a password without a
user is an API key.

Tested against a real 8.19.4. A client of version 9 cannot talk to a server of version 8, which is an error that names
the client to install. One index per collection; a document's `_id` is a hash of namespace and id. Pitfalls, and what
is done about them:

- metadata has no mapping of its own, which would grow with every key: `m` is its JSON text, `t` the tags and `k` the
  numbers (`exact/tags_and_numbers.py`) as texts of the same order, which ranges over one keyword field reach;
- a bulk body is written by columns (`bulk.py`), since the client writes every number as float64;
- by default the index quantises vectors to int8, which shifts scores: plain `hnsw` is asked for;
- newer servers leave vectors out of answers: `b` has their bytes;
- `refresh=wait_for` waits for a timer, up to a second: the index is refreshed at the end of a call instead;
- an index that is gone is made anew by whoever writes to it: all calls go to an alias with the mark of the collection
  and a capital letter, which no index may have;
- `exact=True` is a script over all that match; the score of l2 from the index loses small distances in float32, so
  the scores of its hits are computed from the vectors.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import LoginOrKeyOptions
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import flatten_filter
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.lexical import query_tokens
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, RowErrors, Transient
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.scores import pairwise
from dizuo.vectors.stores.elasticsearch.bulk import bulk_body, filter_fields
from dizuo.vectors.stores.elasticsearch.errors import map_errors
from dizuo.vectors.stores.elasticsearch.filters import in_namespace
from dizuo.vectors.stores.elasticsearch.indices import IndexPer, Indices, alias_name, create_index, words_capabilities
from dizuo.vectors.stores.elasticsearch.limits import FILTERS, LIMITS, NAMESPACES, WINDOW
from dizuo.vectors.writing.naming import new_generation, physical_name

__all__ = ["STORE"]

SIMILARITIES = {"cosine": "cosine", "dot": "max_inner_product", "l2": "l2_norm"}
NAMES = {"vectors": "b", "metadata": "m", "documents": "d"}
GONE = ("invalid_index_name_exception", "index_not_found_exception")
"""What a write to an alias says that is not there any more."""
RETRIES = 5
"""Times that a change of metadata is done again because another writer changed the record meanwhile."""


@dataclass(frozen=True, slots=True)
class Options(LoginOrKeyOptions):
    """What the query of the URL may set."""

    m: int = 16
    """Links per vector in the HNSW graph; only at the making of a collection."""
    ef_construction: int = 200
    """Candidates looked at while a vector is linked; only at the making of a collection."""
    index_per: IndexPer = "collection"
    """What has an index of its own: the `collection` with all its namespaces, or each `namespace`. By words, scores
    depend on all that an index holds; an index for each namespace keeps tenants apart and costs a shard each. Only at
    the making of a collection."""
    candidates: int = 200
    """Candidates looked at in a search, at least 10·k."""
    timeout: float = 60.0
    """Seconds after which a call that got no answer has failed."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Elasticsearch:
    """Open the collection; it is made if it does not exist."""
    try:
        import elasticsearch
    except ImportError as error:
        raise MissingPackage("elasticsearch", purpose="elasticsearch://", install="dizuo[elasticsearch]") from error
    scheme = "https" if url.extra == "https" else "http"
    who: dict[str, Any] = {}
    if url.user:
        who["basic_auth"] = (url.user, url.password or "")
    elif url.password:
        who["api_key"] = url.password
    client = elasticsearch.Elasticsearch(
        f"{scheme}://{url.host or '127.0.0.1'}:{url.port or 9200}",
        request_timeout=options.timeout,
        max_retries=0,  # `VectorStore` tries again, and says so
        **who,
    )
    return open_or_close(Elasticsearch(client, options, str(url)), request)


class Elasticsearch:
    """A collection in Elasticsearch; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 1000
    batch_bytes = 8 * 2**20
    sidecar_folder: Path | None = None
    capabilities = words_capabilities(Capabilities(lexical="own", max_dim=4096, filters=FILTERS), "collection")
    spec: CollectionSpec
    name: str
    generation: str
    indices: Indices

    def __init__(self, client: Any, options: Options, address: str) -> None:
        self.client, self.options, self.address = client, options, address

    def open(self, request: CollectionRequest) -> None:
        """Find or make the index; its mapping has dim and metric."""
        self.name = physical_name(request.collection)
        with self._map_errors(opening=True):
            facts = self._facts()
            if facts is None:
                mark = new_generation()
                mapping = self._mapping(request.check_new(), self.options.index_per, mark)
                create_index(self.client, self.name, mapping, alias_name(self.name, mark))
                facts = self._facts()
        if facts is None:
            raise Transient(f"the collection {request.collection!r} was dropped while it was opened")
        self.spec = request.check_existing(facts["dim"], facts["metric"])
        self.generation = facts.get("generation", "")
        per: IndexPer = facts.get("index_per", "collection")
        mapping = self._mapping(self.spec, per, self.generation)
        self.indices = Indices(self.client, self.name, self.generation, per, mapping)
        self.capabilities = words_capabilities(self.capabilities, per)

    def _facts(self) -> dict[str, Any] | None:
        import elasticsearch

        try:
            answer = self.client.indices.get_mapping(index=self.name)
        except elasticsearch.NotFoundError:
            return None
        facts: dict[str, Any] = json.loads(answer[self.name]["mappings"]["_meta"]["dizuo"])
        return facts

    def _mapping(self, spec: CollectionSpec, index_per: IndexPer, mark: str) -> dict[str, Any]:
        graph = {"type": "hnsw", "m": self.options.m, "ef_construction": self.options.ef_construction}
        vector = {"type": "dense_vector", "dims": spec.dim, "index": True, "index_options": graph}
        keyword = {"type": "keyword"}
        kept = {"type": "keyword", "index": False, "doc_values": False}
        facts = {"dim": spec.dim, "metric": spec.metric, "collection": spec.collection, "index_per": index_per}
        facts["generation"] = mark
        return {
            "dynamic": False,
            "_meta": {"dizuo": json.dumps(facts)},
            "properties": {
                "ns": keyword, "id": keyword, "t": keyword, "k": keyword, "m": kept, "d": kept, "b": kept,
                "v": {**vector, "similarity": SIMILARITIES[spec.metric]},
                "w": {"type": "text", "analyzer": "whitespace"},
            },
        }  # fmt: skip

    # ---- writing

    def prepare(self, namespace: str, block: Block) -> None:
        keys = [_record_key(namespace, id) for id in block.ids]
        block.prepared = keys, bulk_body(namespace, keys, block)

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        if block.prepared is None:
            self.prepare(namespace, block)
        keys, body = block.prepared
        with self._map_errors():
            index = self.indices.make(namespace, self.check)
        failed = [item for item in self._bulk(index, body, show=wait) if "error" in item]
        if failed:
            ids = dict(zip(keys, block.ids, strict=True))
            raise RowErrors({ids[item["_id"]]: str(item["error"].get("reason")) for item in failed})

    def set_metadata(self, namespace: str, block: Block) -> int:
        with self._map_errors():
            if not self.indices.holds(namespace):
                return 0
        operations: list[dict[str, Any]] = []
        for id, row, text in zip(block.ids, block.metadata, block.metadata_texts, strict=True):
            # An update reads the record and writes it: where another writer came between, it is done again.
            operations += [
                {"update": {"_id": _record_key(namespace, id), "retry_on_conflict": RETRIES}},
                {"doc": {"m": text, **filter_fields(row)}},
            ]
        items = self._bulk(self.indices.of(namespace), operations, show=False)
        _raise_failed(items)
        return sum("error" not in item for item in items)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        with self._map_errors():
            if not self.indices.holds(namespace):
                return 0
        if ids is None:
            ids = [id for block in self._scan_rows(namespace, where, frozenset(), 5000) for id in block.ids]
        removed, index = 0, self.indices.of(namespace)
        for start in range(0, len(ids), self.batch_rows):
            part = ids[start : start + self.batch_rows]
            items = self._bulk(index, [{"delete": {"_id": _record_key(namespace, id)}} for id in part], show=False)
            _raise_failed(items)
            removed += sum(item.get("result") == "deleted" for item in items)
        return removed

    def _bulk(self, index: str, operations: list[dict[str, Any]] | bytes, *, show: bool) -> list[dict[str, Any]]:
        """Send operations; with `show` what they did is visible when this returns, else after `refresh`."""
        if not operations:
            return []
        with self._map_errors():
            answer = self.client.bulk(index=index, operations=operations, refresh=show)
        items = [next(iter(item.values())) for item in answer["items"]]
        if any(item["status"] in (429, 503) for item in items):
            raise Transient(f"{self.address} is busy")
        if any(item.get("error", {}).get("type") in GONE for item in items):
            self.check()
        return items

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        if not ids:
            return self._to_block([], columns)
        keys = [_record_key(namespace, id) for id in ids]
        with self._map_errors():
            answer = self.client.mget(index=self.indices.of(namespace), ids=keys, source_includes=_fields(columns))
        return self._to_block([record for record in answer["docs"] if record.get("found")], columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, same = flatten_filter(where)
        if not same or k >= WINDOW:
            return self._compare_all(namespace, queries, k, where, columns)
        chosen, index = in_namespace(namespace, condition), self.indices.of(namespace)
        results = []
        for query in queries:
            result = None
            if not exact:

                def ask(number: int, query: Floats = query) -> SearchResult:
                    return self._search_index(index, chosen, query, number, columns)

                result = include_ties(ask, k, most=10 * k)
            if result is None or len(result.scores) < k:  # either no more rows match, or the graph did not reach them
                result = self._search_by_script(index, chosen, query, k, columns)
            results.append(result)
        return results

    def _search_index(
        self, index: str, chosen: list[dict[str, Any]], query: Floats, number: int, columns: Columns
    ) -> SearchResult:
        l2 = self.spec.metric == "l2"
        needed = columns | {"vectors"} if l2 else columns
        number = min(number, WINDOW)
        knn = {
            "field": "v",
            "query_vector": query.tolist(),
            "k": number,
            "num_candidates": min(WINDOW, max(10 * number, self.options.candidates)),
            "filter": chosen,
        }
        with self._map_errors():
            answer = self.client.search(
                index=index, knn=knn, size=number, source_includes=_fields(needed), **self.indices.absent
            )
        hits = answer["hits"]["hits"]
        block = self._to_block(hits, needed)
        scores = pairwise(query, block.vectors, "l2") if l2 else self._to_scores([hit["_score"] for hit in hits])
        return SearchResult(block.only(columns), scores, "index", len(hits))

    def _to_scores(self, raw: Sequence[float]) -> NDArray[np.float64]:
        engine_scores = np.asarray(raw, np.float64)
        if self.spec.metric == "cosine":
            return 2.0 * engine_scores - 1.0
        return np.where(engine_scores < 1.0, 1.0 - 1.0 / np.maximum(engine_scores, 1e-45), engine_scores - 1.0)

    def _search_by_script(
        self, index: str, chosen: list[dict[str, Any]], query: Floats, k: int, columns: Columns
    ) -> SearchResult:
        """Return the k nearest by a script, which compares all rows that match; Elasticsearch orders ties by id."""
        sources = {
            "cosine": "cosineSimilarity(params.q, 'v') + 1.0",
            "l2": "1 / (1 + l2norm(params.q, 'v'))",
            "dot": "double s = dotProduct(params.q, 'v'); if (s < 0) { return 1 / (1 - s); } return s + 1;",
        }
        script = {"source": sources[self.spec.metric], "params": {"q": query.tolist()}}
        with self._map_errors():
            answer = self.client.search(
                index=index,
                **self.indices.absent,
                query={"script_score": {"query": {"bool": {"filter": chosen}}, "script": script}},
                sort=[{"_score": "desc"}, {"id": "asc"}],
                track_scores=True,
                size=k,
                source_includes=_fields(columns),
            )
        hits = answer["hits"]["hits"]
        raw = np.array([hit["_score"] for hit in hits], np.float64)
        ours = {"cosine": raw - 1.0, "l2": 1.0 - 1.0 / np.maximum(raw, 1e-45)}.get(self.spec.metric)
        scores = self._to_scores(raw.tolist()) if ours is None else ours
        return SearchResult(self._to_block(hits, columns), scores, "exact", len(hits))

    def _compare_all(
        self, namespace: str, queries: Floats, k: int, where: Filter | None, columns: Columns
    ) -> list[SearchResult]:
        rows = self._scan_rows(namespace, where, columns | {"vectors"}, 1000)
        return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        words = query_tokens(query)
        condition, same = flatten_filter(where)
        if not words:
            return SearchResult(Block([]), np.empty(0))
        asked = {"match": {"w": {"query": " ".join(words)}}}
        needed: Columns = frozenset() if same else frozenset({"metadata"})
        search = {
            "query": {"bool": {"must": [asked], "filter": in_namespace(namespace, condition)}},
            "sort": [{"_score": "desc"}, {"id": "asc"}],
            "track_scores": True,
            "source_includes": _fields(needed),
        }
        scores: dict[str, float] = {}
        fetched = 0
        for hits in self._pages(namespace, search, min(k, WINDOW) if same else WINDOW):
            fetched += len(hits)
            found = {hit["_source"]["id"]: float(hit["_score"]) for hit in hits}
            for block in filter_blocks([self._to_block(hits, needed)], None if same else where):
                scores |= {id: found[id] for id in block.ids}
            if len(scores) >= k:
                break
        ids = list(scores)[:k]
        return SearchResult(Block(ids), np.array([scores[id] for id in ids]), "exact", fetched)

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(namespace, self.namespaces, lambda name: self._scan_rows(name, where, columns, rows))

    def _scan_rows(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        condition, same = flatten_filter(where)
        needed = columns if same else columns | {"metadata"}
        search = {
            "query": {"bool": {"filter": in_namespace(namespace, condition)}},
            "sort": [{"id": "asc"}],
            "source_includes": _fields(needed),
        }
        for hits in self._pages(namespace, search, min(rows, WINDOW)):
            yield from filter_blocks([self._to_block(hits, needed)], None if same else where)

    def _pages(self, namespace: str, search: Mapping[str, Any], size: int) -> Iterator[list[dict[str, Any]]]:
        """Yield the hits of a sorted search in a namespace, `size` at a time, until there are no more."""
        after: dict[str, Any] = {}
        while True:
            with self._map_errors():
                answer = self.client.search(
                    index=self.indices.of(namespace), **self.indices.absent, size=size, **search, **after
                )
            hits: list[dict[str, Any]] = answer["hits"]["hits"]
            if hits:
                yield hits
            if len(hits) < size:
                return
            after = {"search_after": hits[-1]["sort"]}

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        condition, same = flatten_filter(where)
        if not same:
            names = [namespace] if namespace is not None else list(self.namespaces())
            return sum(len(block) for name in names for block in self._scan_rows(name, where, frozenset(), 5000))
        with self._map_errors():
            answer = self.client.count(
                index=self.indices.everything if namespace is None else self.indices.of(namespace),
                query={"bool": {"filter": in_namespace(namespace, condition)}},
                **self.indices.absent,
            )
        return int(answer["count"])

    def namespaces(self) -> Mapping[str, int]:
        # A `terms` aggregation has its first 10,000 buckets and says nothing of the others; this one has pages.
        composite: dict[str, Any] = {"size": NAMESPACES, "sources": [{"ns": {"terms": {"field": "ns"}}}]}
        counts: dict[str, int] = {}
        while True:
            with self._map_errors():
                answer = self.client.search(
                    index=self.indices.everything,
                    size=0,
                    aggs={"names": {"composite": composite}},
                    **self.indices.absent,
                )
            buckets = (
                answer["aggregations"]["names"]["buckets"] if "aggregations" in answer else []
            )  # there is no index
            counts |= {bucket["key"]["ns"]: int(bucket["doc_count"]) for bucket in buckets}
            if len(buckets) < NAMESPACES:
                return dict(sorted(counts.items()))
            composite["after"] = buckets[-1]["key"]

    def _to_block(self, hits: Sequence[Mapping[str, Any]], columns: Columns) -> Block:
        rows = [hit["_source"] for hit in hits]
        vectors: Floats | None = None
        if "vectors" in columns:
            raw = b"".join(base64.b64decode(row["b"]) for row in rows)
            vectors = np.frombuffer(raw, np.float32).reshape(len(rows), self.spec.dim)
        return Block(
            [row["id"] for row in rows],
            vectors,
            [row["m"] for row in rows] if "metadata" in columns else None,
            [row.get("d") for row in rows] if "documents" in columns else None,
        )

    # ---- the collection

    def check(self) -> None:
        with self._map_errors(opening=True):
            facts = self._facts()
        if facts is None or facts.get("generation", "") != self.generation:
            raise CollectionGone(self.spec.collection, remade=facts is not None)

    def refresh(self) -> None:
        with self._map_errors():
            self.client.indices.refresh(index=self.indices.everything, **self.indices.absent)

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Nothing to do: Elasticsearch merges its segments and builds their graphs by itself."""

    def info(self) -> EngineInfo:
        with self._map_errors():
            version = str(self.client.info()["version"]["number"])
        rows = sum(self.namespaces().values())
        details = {"m": self.options.m, "ef_construction": self.options.ef_construction}
        where = f"{self.address} {self.name}"
        return EngineInfo("Elasticsearch", version, "hnsw", rows, where=where, details=details)

    def drop(self) -> None:
        with self._map_errors():
            if self._facts() is None:
                return
        self.check()
        with self._map_errors():
            self.indices.drop()

    def close(self) -> None:
        self.client.close()

    def _map_errors(self, *, opening: bool = False) -> AbstractContextManager[None]:
        return map_errors(self.client, self.address, opening=opening)


def _raise_failed(items: Sequence[Mapping[str, Any]]) -> None:
    """Raise what single changes or deletions failed with; that a record is not there is no failure."""
    failed = [item["error"] for item in items if "error" in item and item["status"] != 404]
    if failed:
        raise VectorError(f"Elasticsearch: {len(failed):,} rows failed, the first with {failed[0]}")


def _record_key(namespace: str, id: str) -> str:
    return hashlib.sha256(f"{len(namespace)}:{namespace}{id}".encode()).hexdigest()


def _fields(columns: Columns) -> list[str]:
    return ["id", *(NAMES[column] for column in sorted(columns))]


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=("http", "https"))
