"""Marqo 2.13 or later, `marqo://host:8882` or `marqo+https://…`; a password is sent as the API key of Marqo Cloud.

Upstream no longer works on the open source, so this is best effort: tested against an emulator of ours, written after
Marqo's own source (2.13), and against a real server where DIZUO_TEST_MARQO_URL names one. Its client is abandoned;
these are its routes over httpx. One structured index per collection, with the model `no_model`. Pitfalls:

- an index keeps the fields that it was made with, and ranges are inclusive: filters read tags only (`rows.py`);
- 128 documents a request, 100,000 characters a document, 1,000 answers a search;
- there is no scroll: records have a place by their id, and a scan reads ranges of places with less than 1,000 records;
- nothing counts what matches: a count is a scan of ids;
- scores are a closeness in float32; they are computed anew from the vectors of the hits;
- a deletion counts records that were not there: they are looked up before;
- an index has a field whose name is its mark, which every document has: it is the mark of the collection;
- a change of the index while another is going on is a conflict, and is tried again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import KeyOptions
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import FALSE, Condition, flatten_filter
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, Denied, RowErrors, Transient, Unreachable
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.scores import pairwise
from dizuo.vectors.stores.marqo import rows as marqo_rows
from dizuo.vectors.stores.marqo.limits import FILTERS, LIMITS, TOP
from dizuo.vectors.stores.marqo.rows import (
    PLACES,
    field_names,
    find_mark,
    mark_field,
    read_rows,
    record_key,
    space_name,
    write_filter,
)
from dizuo.vectors.writing.naming import new_generation, physical_name
from dizuo.vectors.writing.retrying import Patience, send_batches

__all__ = ["STORE"]

SPACES = {"cosine": "angular", "dot": "dotproduct", "l2": "euclidean"}
ONCE = Patience(attempts=1)
REGISTRY = "registry"
"""The space of the records that name the namespaces."""


@dataclass(frozen=True, slots=True)
class Options(KeyOptions):
    """What the query of the URL may set."""

    m: int = 16
    """Links per vector in the HNSW graph; only at the making of a collection."""
    ef_construction: int = 512
    """Candidates looked at while a vector is linked; only at the making of a collection."""
    ef_search: int = 2000
    """Candidates looked at in a search."""
    timeout: float = 120.0
    """Seconds after which a call has failed; the making of an index takes its time."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Marqo:
    """Open the collection; it is made if it does not exist."""
    try:
        import httpx
    except ImportError as error:
        raise MissingPackage("httpx", purpose="marqo://", install="dizuo[marqo]") from error
    scheme = "https" if url.extra == "https" else "http"
    key = url.password or url.user
    client = httpx.Client(
        base_url=f"{scheme}://{url.host or '127.0.0.1'}:{url.port or (443 if scheme == 'https' else 8882)}{url.path}",
        headers={"x-api-key": key} if key else {},
        timeout=options.timeout,
    )
    return open_or_close(Marqo(client, options, str(url)), request)


class Marqo:
    """A collection in Marqo; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 128
    batch_bytes = 4 * 2**20
    sidecar_folder: Path | None = None
    capabilities = Capabilities(max_dim=3000, filters=FILTERS, notes={"lexical": "Marqo's BM25 has tokens of its own"})
    spec: CollectionSpec
    index: str
    generation: str
    mark: dict[str, str]
    """The field that every document has, since it belongs to this index."""

    def __init__(self, client: Any, options: Options, address: str) -> None:
        self.client, self.options, self.address = client, options, address
        self.named: set[str] = set()

    def open(self, request: CollectionRequest) -> None:
        """Find or make the index."""
        self.index = physical_name(request.collection)
        index_settings = self._send("GET", "/settings", missing=True, opening=True)
        if index_settings is None:
            spec = request.check_new()
            settings = {
                "type": "structured",
                "model": "no_model",
                "modelProperties": {"type": "no_model", "dimensions": spec.dim},
                "normalizeEmbeddings": False,
                "vectorNumericType": "float",
                "annParameters": {
                    "spaceType": SPACES[spec.metric],
                    "parameters": {"efConstruction": self.options.ef_construction, "m": self.options.m},
                },
                "allFields": [*marqo_rows.FIELDS, {"name": mark_field(new_generation()), "type": "text"}],
                "tensorFields": ["vector"],
            }
            self._send("POST", "", settings, existing=True)
            index_settings = self._send("GET", "/settings")
        self.generation = find_mark(index_settings["allFields"])
        self.mark = {mark_field(self.generation): ""} if self.generation else {}
        ours = {theirs: metric for metric, theirs in SPACES.items()}
        theirs = index_settings["annParameters"]["spaceType"]
        self.spec = request.check_existing(
            int(index_settings["modelProperties"]["dimensions"]), ours.get(theirs, theirs)
        )

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        """Marqo's writes are visible when they return, whether waited for or not."""
        space = self._register_namespace(namespace)
        rows, refused = marqo_rows.write_rows(space, block)
        by_key = {row["_id"]: id for id, row in rows.items()}
        if rows:
            for item in self._write_documents("POST", list(rows.values())):
                if item["status"] >= 400:
                    refused[by_key[item["_id"]]] = str(item.get("message") or item.get("error"))
        if refused:
            self.check()
            raise RowErrors(refused)

    def _space(self, namespace: str) -> str:
        return space_name(namespace, self.generation)

    def _register_namespace(self, namespace: str) -> str:
        """Return the space of a namespace that has a record in the registry."""
        space = self._space(namespace)
        if namespace not in self.named:
            name = Block([namespace], np.ones((1, self.spec.dim), np.float32), ["{}"], [None])
            rows, _ = marqo_rows.write_rows(REGISTRY + self.generation, name)
            for item in self._write_documents("POST", list(rows.values())):
                if item["status"] >= 400:
                    self.check()
                    raise VectorError(f"Marqo: {item}")
            self.named.add(namespace)
        return space

    def set_metadata(self, namespace: str, block: Block) -> int:
        space = self._space(namespace)
        there = {row["_id"]: row for row in self._get_documents(space, block.ids)}
        changes = []
        for id, metadata, text in zip(block.ids, block.metadata, block.metadata_texts, strict=True):
            if (key := record_key(space, id)) in there:
                changes.append({"_id": key, **marqo_rows.metadata_fields(metadata, text)})
        items = self._write_documents("PATCH", changes) if changes else []
        failed = {
            marqo_rows.read_rows([there[item["_id"]]], frozenset(), self.spec.dim).ids[0]: str(item.get("message"))
            for item in items
            if item["status"] >= 400 and item["status"] != 404
        }
        if failed:
            self.check()
            raise RowErrors(failed)
        return sum(item["status"] < 300 for item in items)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        space = self._space(namespace)
        if ids is not None:
            keys = [row["_id"] for row in self._get_documents(space, ids)]
        else:
            keys = [row["_id"] for page in self._pages(space, where, frozenset()) for row in page]
        send_batches(keys, TOP, lambda part: self._send("POST", "/documents/delete-batch", list(part)))
        return len(keys)

    def _write_documents(self, method: str, documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
        marked = [{**document, **self.mark} for document in documents]
        items: list[dict[str, Any]] = self._send(method, "/documents", {"documents": marked})["items"]
        if any(item["status"] in (429, 503, 504) for item in items):
            raise Transient(f"{self.address} is busy")
        return items

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        return read_rows(self._get_documents(self._space(namespace), ids), columns, self.spec.dim)

    def _get_documents(self, space: str, ids: Sequence[str]) -> list[dict[str, Any]]:
        documents: list[dict[str, Any]] = []
        keys = [record_key(space, id) for id in ids]
        for start in range(0, len(keys), self.batch_rows):
            answer = self._send("GET", "/documents", keys[start : start + self.batch_rows])
            documents += [row for row in answer["results"] if row.get("_found")]
        return documents

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, same = flatten_filter(where)
        if condition == FALSE:
            return [SearchResult(read_rows([], columns, self.spec.dim), np.empty(0)) for _ in queries]
        if not same or k >= TOP:
            rows = self._scan_rows(namespace, where, columns | {"vectors"}, TOP)
            return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)
        space, results = self._space(namespace), []
        for query in queries:

            def ask(number: int, exactly: bool, query: Floats = query) -> SearchResult:
                return self._search_index(space, query, number, condition, columns, exactly)

            # Exact as far as one search reaches; a tie of more than a thousand is cut where Vespa cuts it.
            result = include_ties(lambda n: ask(n, True), k, most=TOP) if exact else None
            if result is not None and len(result.scores) == TOP and result.scores.min() == np.sort(result.scores)[-k]:
                result = find_nearest(
                    self._scan_rows(namespace, where, columns | {"vectors"}, TOP),
                    query[None], k=k, metric=self.spec.metric, columns=columns,
                )[0]  # fmt: skip
            if result is None:
                result = include_ties(lambda n: ask(n, False), k, most=min(10 * k, TOP), budget=10 * k)
                if len(result.scores) < k:  # either no more rows match, or the graph did not reach them
                    result = ask(k, True)
            results.append(result)
        return results

    def _search_index(
        self, space: str, query: Floats, number: int, condition: Condition, columns: Columns, exactly: bool
    ) -> SearchResult:
        needed = columns | {"vectors"}
        asked = {
            "context": {"tensor": [{"vector": query.tolist(), "weight": 1}]},
            "limit": number,
            "approximate": not exactly,
            **({} if exactly else {"efSearch": max(number, self.options.ef_search)}),
        }
        hits = self._search(asked, write_filter(condition, space), needed)
        block = read_rows(hits, needed, self.spec.dim)
        scores = pairwise(query, block.vectors, self.spec.metric)
        order = np.argsort(-scores, kind="stable")
        return SearchResult(block.only(columns).take(order), scores[order], "exact" if exactly else "index", len(hits))

    def _search(self, asked: dict[str, Any], chosen: str, columns: Columns) -> list[dict[str, Any]]:
        body = {
            "searchMethod": "TENSOR",
            "filter": chosen,
            "attributesToRetrieve": field_names(columns),
            "showHighlights": False,
            **asked,
        }
        hits: list[dict[str, Any]] = self._send("POST", "/search", body)["hits"]
        return hits

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        raise AssertionError("Marqo has no words of ours")

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        patience = Patience()  # `VectorStore` cannot repeat a scan that has begun
        return scan_namespaces(
            namespace,
            lambda: patience(self._list_namespaces),
            lambda name: self._scan_rows(name, where, columns, rows, patience),
        )

    def _scan_rows(
        self, namespace: str, where: Filter | None, columns: Columns, rows: int, patience: Patience = ONCE
    ) -> Iterator[Block]:
        for page in self._pages(self._space(namespace), where, columns, patience):
            for start in range(0, len(page), rows):
                yield read_rows(page[start : start + rows], columns, self.spec.dim)

    def _pages(
        self, space: str, where: Filter | None, columns: Columns, patience: Patience = ONCE
    ) -> Iterator[list[dict[str, Any]]]:
        """Yield the records that match, in the order of their places, less than a thousand at a time."""
        condition, same = flatten_filter(where)
        if condition == FALSE:
            return
        needed = columns if same else columns | {"metadata"}
        anywhere = {"context": {"tensor": [{"vector": [1.0] * self.spec.dim, "weight": 1}]}, "approximate": False}
        # Ranges of about half as many records as one answer holds: places are hashes, so few ranges must be halved.
        total = int(patience(lambda: self._send("GET", "/stats"))["numberOfDocuments"])
        count = 1 + total // (TOP // 2)
        edges = [PLACES * part // count for part in range(count + 1)]
        ranges = [(low, high - 1) for low, high in itertools.pairwise(edges)][::-1]
        while ranges:
            low, high = ranges.pop()
            chosen = write_filter(condition, space, low, high)
            hits = patience(lambda chosen=chosen: self._search({**anywhere, "limit": TOP}, chosen, needed))  # type: ignore[misc]
            if len(hits) == TOP and low < high:
                middle = (low + high) // 2
                ranges += [(middle + 1, high), (low, middle)]
                continue
            if not same:
                block = read_rows(hits, frozenset({"metadata"}), self.spec.dim)
                kept = {id for matching in filter_blocks([block], where) for id in matching.ids}
                hits = [hit for hit, id in zip(hits, block.ids, strict=True) if id in kept]
            if hits:
                yield hits

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        names = [namespace] if namespace is not None else self._list_namespaces()
        # Each request is repeated by itself: of hundreds, some meet a busy server, and so would those of a second try.
        patience = Patience()
        return sum(len(page) for name in names for page in self._pages(self._space(name), where, frozenset(), patience))

    def _list_namespaces(self) -> list[str]:
        pages = self._pages(REGISTRY + self.generation, None, frozenset(), Patience())
        return sorted(id for page in pages for id in read_rows(page, frozenset(), self.spec.dim).ids)

    def namespaces(self) -> Mapping[str, int]:
        counts = {name: self.count(name, where=None) for name in self._list_namespaces()}
        return {name: count for name, count in counts.items() if count}

    # ---- the collection

    def check(self) -> None:
        settings = self._send("GET", "/settings", missing=True)
        if settings is None or find_mark(settings["allFields"]) != self.generation:
            raise CollectionGone(self.spec.collection, remade=settings is not None)

    def refresh(self) -> None:
        """Nothing to do: Marqo's writes are visible when they return."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Nothing to do: Vespa keeps its HNSW graph by itself."""

    def info(self) -> EngineInfo:
        version = str(self._send("GET", None)["version"])
        rows = sum(self.namespaces().values())
        details = {"ef_search": self.options.ef_search, "m": self.options.m}
        return EngineInfo("Marqo", version, "hnsw", rows, where=f"{self.address} {self.index}", details=details)

    def drop(self) -> None:
        if self._send("GET", "/settings", missing=True) is not None:
            self.check()
            self._send("DELETE", "", missing=True)
        self.named.clear()

    def close(self) -> None:
        self.client.close()

    def _send(
        self,
        method: str,
        path: str | None,
        body: Any = None,
        *,
        missing: bool = False,
        existing: bool = False,
        opening: bool = False,
    ) -> Any:
        """Return the answer of a route of the index, or of the server if `path` is None.

        Args:
            missing: return None instead of an error if there is no such index.
            existing: return None instead of an error if there is one already.
            opening: this is the first call; a server that does not answer is not there.
        """
        with self._map_errors(opening):
            url = "/" if path is None else f"/indexes/{self.index}{path}"
            answer = self.client.request(method, url, **({} if body is None else {"json": body}))
        if answer.is_success:
            return answer.json()
        try:
            told = answer.json()
        except ValueError:
            told = {}
        code, message = told.get("code"), told.get("message") or told.get("detail") or answer.text[:300]
        if (missing and code == "index_not_found") or (existing and code == "index_already_exists"):
            return None
        if answer.status_code in (401, 403):
            raise Denied(f"{self.address} refused the API key", hint="check the password in the address")
        if answer.status_code in (429, 502, 503, 504) or code == "operation_conflict_error":
            after = answer.headers.get("retry-after", "")
            raise Transient(f"{self.address} is busy: {message}", after=float(after) if after.isdecimal() else None)
        if code == "index_not_found" and not opening and hasattr(self, "spec"):
            raise CollectionGone(self.spec.collection)
        raise VectorError(f"Marqo: {message}", details=[f"{method} {url}: {answer.status_code} {code}"])

    @contextmanager
    def _map_errors(self, opening: bool) -> Iterator[None]:
        import httpx

        try:
            yield
        except (httpx.TimeoutException, httpx.TransportError) as error:
            if opening:
                hint = "is the server running, and is it marqo+https://?"
                raise Unreachable(f"no Marqo answers at {self.address}", hint=hint) from error
            raise Transient(f"{self.address} does not answer: {error}", hint="is the server running?") from error
        except RuntimeError as error:
            if not self.client.is_closed:
                raise
            raise VectorError("the store was closed", hint="connect again") from error


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=("http", "https"))
