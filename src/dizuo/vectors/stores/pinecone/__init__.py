"""Pinecone, `pinecone://:API-KEY@` or with PINECONE_API_KEY in the environment; serverless indexes.

Tested against an emulator of ours behind a proxy that validates every request by the vendor's OpenAPI documents
(2025-10), and against the real service where PINECONE_API_KEY is set. One index per collection, whose name ends in the
mark of the collection: its host does too, so nobody reaches the index that somebody has made anew. Pitfalls:

- it is eventually consistent: the answer to a write has its number (LSN, per namespace), and that to a read has the
  number up to which it sees writes. A write waits for its number, and a read that lags behind what this connection
  wrote is repeated. The client (9.1) does not show the number of a deletion, so a removed record is fetched until it is
  gone;
- vectors of zeros are refused whatever the metric, so under dot and l2 every vector has one number more, a 1, and a
  query a 0 or a 1: scores stay what they are;
- ids are ASCII, values flat, 40 KB a record, 2 MB a request (`rows.py`);
- there is no exact search: `exact=True` reads the matching vectors and compares them here. The score of l2 is a squared
  distance in float32, so it is computed from the vectors of the hits;
- the number of records that a namespace states lags, so counting is an update of what matches, as a dry run.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from dizuo.vectors.exact.tags_and_numbers import FALSE, TRUE, Condition, flatten_filter
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, RowErrors, Transient
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.scores import pairwise
from dizuo.vectors.stores.pinecone import indexes as indexes
from dizuo.vectors.stores.pinecone import rows as pinecone_rows
from dizuo.vectors.stores.pinecone.errors import map_errors
from dizuo.vectors.stores.pinecone.limits import FILTERS, LIMITS, TOP
from dizuo.vectors.stores.pinecone.rows import (
    HELD,
    NUMBER,
    count_bytes,
    read_rows,
    record_key,
    space_name,
    write_filter,
)
from dizuo.vectors.writing.naming import physical_name
from dizuo.vectors.writing.retrying import Patience, send_batches

__all__ = ["STORE"]

ANSWER = 3_500_000
"""Bytes that an answer may have at worst; Pinecone's limit is 4 MB."""
ONCE = Patience(attempts=1)
FETCHED = 100
"""Most ids of one fetch, since they are part of its URL."""
COMMITTED = ("x-pinecone-lsn-committed", "x-pinecone-request-lsn")
RECONCILED = ("x-pinecone-lsn-reconciled", "x-pinecone-max-indexed-lsn")
"""Headers with numbers of writes, as the client calls them and as the vendor's guide does."""


@dataclass(frozen=True, slots=True)
class Options(KeyOptions):
    """What the query of the URL may set."""

    cloud: str = "aws"
    """Where a new index is made: aws, gcp or azure."""
    region: str = "us-east-1"
    """Region of that cloud."""
    keep_bytes: bool = False
    """Keep the vectors' bytes in the metadata too, should Pinecone ever give back other numbers than it got."""
    timeout: float = 60.0
    """Seconds after which a call has failed, or a write that cannot be seen yet."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Pinecone:
    """Open the collection; it is made if it does not exist."""
    try:
        import pinecone
    except ImportError as error:
        raise MissingPackage("pinecone", purpose="pinecone://", install="dizuo[pinecone]") from error
    key = url.password or url.user or os.environ.get("PINECONE_API_KEY")
    if not key:
        raise VectorError(
            "pinecone:// has no API key", hint="set PINECONE_API_KEY, or write it as the address' password"
        )
    host = url.host or "api.pinecone.io"
    client = pinecone.Pinecone(
        api_key=key,
        host=f"{url.extra or 'https'}://{host}{f':{url.port}' if url.port else ''}",
        timeout=options.timeout,
        retry_config=pinecone.RetryConfig(max_retries=0),  # `VectorStore` tries again, and says so
    )
    return open_or_close(
        Pinecone(client, options, f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}"), request
    )


class Pinecone:
    """A collection in Pinecone; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 1000
    batch_bytes = 2 * 2**20
    sidecar_folder: Path | None = None
    capabilities = Capabilities(
        max_dim=19_999, filters=FILTERS, notes={"lexical": "Pinecone's dense indexes have no words"}
    )
    spec: CollectionSpec
    generation: str
    index: Any

    def __init__(self, client: Any, options: Options, address: str) -> None:
        self.client, self.options, self.address = client, options, address
        self.index = None
        self.committed: dict[str, int] = {}
        self.reconciled: dict[str, int] = {}

    def open(self, request: CollectionRequest) -> None:
        """Find or make the index, and wait until it is ready."""
        import pinecone

        self.root = physical_name(request.collection, limit=35)
        own: str | None = None
        for _ in self._poll(f"no index of {request.collection!r} is ready"):
            with map_errors(self.address, opening=True):
                description = indexes.find(self.client, self.root)
                if description is None:
                    spec = request.check_new()
                    place = pinecone.ServerlessSpec(cloud=self.options.cloud, region=self.options.region)
                    own = own or indexes.make(self.client, self.root, spec, place)
                    continue
            ours = {theirs: metric for metric, theirs in indexes.METRICS.items()}
            metric = ours.get(description.metric, description.metric)
            self.spec = request.check_existing(description.dimension - (metric != "cosine"), metric)
            if description.status.ready:
                break
        assert description is not None
        self.name = description.name
        self.generation = indexes.mark_of(self.root, self.name) or ""
        if own not in (None, self.name):  # another process has made one at the same moment
            with map_errors(self.address, opening=True):
                self.client.indexes.delete(own, timeout=-1)
        self.extra_number = self.spec.metric != "cosine"
        self.index = self.client.index(host=description.host)

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        stamp = secrets.token_hex(6)
        rows, refused = pinecone_rows.write_rows(
            block, extra_number=self.extra_number, stamp=stamp, keep=self.options.keep_bytes
        )
        space = space_name(namespace)
        for part in pinecone_rows.split_requests(rows):
            with self._map_errors():
                self._note_write(space, self.index.upsert(vectors=part, namespace=space, show_progress=False))
        if wait:
            self._wait_until_seen(space)
        if refused:
            raise RowErrors(refused)

    def set_metadata(self, namespace: str, block: Block) -> int:
        space = space_name(namespace)
        held = self._fetch_records(space, [record_key(id) for id in block.ids])
        refused: dict[str, str] = {}
        for id, metadata, text in zip(block.ids, block.metadata, block.metadata_texts, strict=True):
            key = record_key(id)
            if key not in held:
                continue
            new = pinecone_rows.metadata_fields(metadata, text)
            size = count_bytes({**held[key].metadata, **new})
            if size > HELD:
                refused[id] = f"its metadata would take {size:,} bytes in Pinecone, which holds {HELD:,}"
                continue
            with self._map_errors():
                self._note_write(space, self.index.update(id=key, set_metadata=new, namespace=space))
        self._wait_until_seen(space)
        if refused:
            raise RowErrors(refused)
        return len(held)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        space = space_name(namespace)
        if ids is None and where is None:
            first, _ = self._page(space, TRUE, 1, None)
            num_removed = self._count(space, TRUE) if first else 0
            if first:
                self._remove(space, first, everything=True)
            return num_removed
        if ids is not None:
            records = list(self._fetch_records(space, [record_key(id) for id in ids]).values())
        else:
            # All are read before the first is removed, since a removal would shift the pages.
            records = [row for page in self._pages(space, where, 1000) for row in page]
        send_batches(records, self.batch_rows, lambda part: self._remove(space, part))
        return len(records)

    def _remove(self, space: str, rows: Sequence[Any], *, everything: bool = False) -> None:
        """Remove rows, or all, and wait until the first is gone, or until another process has written it anew."""
        first = rows[0]
        chosen: dict[str, Any] = {"delete_all": True} if everything else {"ids": [row.id for row in rows]}
        self._read(space, lambda: self.index.delete(namespace=space, **chosen))
        for _ in self._poll(f"a removed record is still seen in {space}"):
            answer = self._read(space, lambda: self.index.fetch(ids=[first.id], namespace=space))
            still = answer.vectors.get(first.id) if answer is not None else None
            if still is None or still.metadata["u"] != first.metadata["u"]:
                if answer is not None:  # this answer saw all writes up to here: later reads must not fall behind it
                    now = _read_lsn(answer, RECONCILED) or 0
                    self.committed[space] = max(self.committed.get(space, 0), now)
                return

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        rows = self._fetch_records(space_name(namespace), [record_key(id) for id in ids])
        return read_rows(list(rows.values()), columns, self.spec.dim, self.address)

    def _fetch_records(self, space: str, keys: Sequence[str]) -> dict[str, Any]:
        records: dict[str, Any] = {}
        for start in range(0, len(keys), FETCHED):
            part = list(keys[start : start + FETCHED])
            answer = self._read(space, lambda part=part: self.index.fetch(ids=part, namespace=space))  # type: ignore[misc]
            records |= {} if answer is None else answer.vectors
        return records

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        condition, same = flatten_filter(where)
        if condition == FALSE:
            return [SearchResult(read_rows([], columns, self.spec.dim, ""), np.empty(0)) for _ in queries]
        if exact or not same or k >= TOP or not queries.any(axis=1).all():
            return self._compare_all(namespace, queries, k, where, columns)
        space, results = space_name(namespace), []
        for query in queries:

            def ask(number: int, query: Floats = query) -> SearchResult:
                return self._search_index(space, query, number, condition, columns)

            result = include_ties(ask, k, most=min(10 * k, TOP), budget=10 * k)
            # Fewer than k: either no more rows match, or the index did not reach them.
            if len(result.scores) < k and self._count(space, condition) > len(result.scores):
                result = self._compare_all(namespace, query[None], k, where, columns)[0]
            results.append(result)
        return results

    def _search_index(
        self, space: str, query: Floats, number: int, condition: Condition, columns: Columns
    ) -> SearchResult:
        """Return the result of one query; if its answer could be too large, ids are read first, then their records."""
        l2, dim = self.spec.metric == "l2", self.spec.dim
        needed = columns | {"vectors"} if l2 else columns
        worst = HELD + (NUMBER * (dim + 1) if "vectors" in needed else 0)
        at_once = number * worst <= ANSWER
        vector = query.tolist() + ([1.0] if l2 else [0.0] if self.extra_number else [])
        asked: dict[str, Any] = {"include_metadata": at_once, "include_values": at_once and "vectors" in needed}
        if condition != TRUE:
            asked["filter"] = write_filter(condition)
        call = lambda: self.index.query(vector=vector, top_k=number, namespace=space, **asked)  # noqa: E731
        answer = self._read(space, call)
        matches = [] if answer is None else list(answer.matches)
        rows: list[Any] = matches
        if not at_once:
            held = self._fetch_records(space, [match.id for match in matches])
            matches = [match for match in matches if match.id in held]
            rows = [held[match.id] for match in matches]
        block = read_rows(rows, needed, dim, self.address)
        if l2:
            scores = pairwise(query, block.vectors, "l2")
            order = np.argsort(-scores, kind="stable")
            scores = scores[order]
            block = block.only(columns).take(order)
        else:
            scores = np.array([match.score for match in matches], np.float64)
        return SearchResult(block, scores, "index", len(rows))

    def _compare_all(
        self, namespace: str, queries: Floats, k: int, where: Filter | None, columns: Columns
    ) -> list[SearchResult]:
        rows = self._scan_rows(namespace, where, columns | {"vectors"}, 1000)
        return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        raise AssertionError("Pinecone has no words")

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        patience = Patience()  # `VectorStore` cannot repeat a scan that has begun
        return scan_namespaces(
            namespace,
            lambda: patience(self.namespaces),
            lambda name: self._scan_rows(name, where, columns, rows, patience),
        )

    def _scan_rows(
        self, namespace: str, where: Filter | None, columns: Columns, rows: int, patience: Patience = ONCE
    ) -> Iterator[Block]:
        for page in self._pages(space_name(namespace), where, rows, patience):
            yield read_rows(page, columns, self.spec.dim, self.address)

    def _pages(self, space: str, where: Filter | None, rows: int, patience: Patience = ONCE) -> Iterator[list[Any]]:
        """Yield the records that match, page by page; no page is larger than an answer may be."""
        condition, same = flatten_filter(where)
        limit = max(1, min(rows, 1000, ANSWER // (NUMBER * (self.spec.dim + 1) + 1000)))
        token: str | None = None
        while condition != FALSE:
            page, token = patience(lambda token=token: self._page(space, condition, limit, token))  # type: ignore[misc]
            if not same:
                block = read_rows(page, frozenset({"metadata"}), self.spec.dim, self.address)
                kept = {id for matching in filter_blocks([block], where) for id in matching.ids}
                page = [row for row in page if row.metadata["i"] in kept]
            if page:
                yield page
            if token is None:
                return

    def _page(self, space: str, condition: Condition, limit: int, token: str | None) -> tuple[list[Any], str | None]:
        chosen = write_filter(condition)
        call = lambda: self.index.fetch_by_metadata(  # noqa: E731
            filter=chosen, namespace=space, limit=limit, pagination_token=token
        )
        answer = self._read(space, call)
        if answer is None:
            return [], None
        return list(answer.vectors.values()), answer.pagination.next if answer.pagination else None

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        condition, same = flatten_filter(where)
        if namespace is None:
            return sum(self.count(name, where=where) for name in self.namespaces())
        if not same:
            return sum(len(page) for page in self._pages(space_name(namespace), where, 1000))
        return self._count(space_name(namespace), condition)

    def _count(self, space: str, condition: Condition) -> int:
        if condition == FALSE:
            return 0
        chosen = write_filter(condition)
        call = lambda: self.index.update(  # noqa: E731
            filter=chosen, set_metadata={"u": ""}, namespace=space, dry_run=True
        )
        answer = self._read(space, call)
        return 0 if answer is None else int(answer.matched_records or 0)

    def namespaces(self) -> Mapping[str, int]:
        with self._map_errors():
            listed = [namespace.name for page in self.index.list_namespaces() for namespace in page.namespaces]
        counts = {pinecone_rows.namespace_name(space): self._count(space, TRUE) for space in {*listed, *self.committed}}
        return {name: counts[name] for name in sorted(counts) if counts[name]}

    # ---- the collection

    def check(self) -> None:
        with map_errors(self.address):
            found = indexes.find(self.client, self.root)
        if found is None or found.name != self.name:
            raise CollectionGone(self.spec.collection, remade=found is not None)

    def refresh(self) -> None:
        for space in list(self.committed):
            self._wait_until_seen(space)

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Nothing to do: Pinecone builds and keeps its index by itself."""

    def info(self) -> EngineInfo:
        import pinecone

        rows = sum(self.namespaces().values())
        details = {"cloud": self.options.cloud, "region": self.options.region}
        where = f"{self.address} {self.name}"
        version = f"API 2025-10, client {pinecone.__version__}"
        return EngineInfo("Pinecone", version, "serverless", rows, where=where, details=details)

    def drop(self) -> None:
        from pinecone import NotFoundError

        with map_errors(self.address):
            if indexes.find(self.client, self.root) is None:
                return
        self.check()
        with map_errors(self.address, opening=True):
            try:
                self.client.indexes.delete(self.name, timeout=-1)
            except NotFoundError:
                return
        for _ in self._poll(f"the index {self.name} is still being removed"):
            with map_errors(self.address, opening=True):
                if all(index.name != self.name for index in self.client.indexes.list()):
                    return

    def close(self) -> None:
        for client in (self.index, self.client):
            if client is not None:
                client.close()
        self.index = self.client = _Closed()

    # ---- consistency

    def _note_write(self, space: str, answer: Any) -> None:
        number = _read_lsn(answer, COMMITTED)
        if number is None:
            raise VectorError(
                f"{self.address} does not say which number a write has", hint="dizuo needs a serverless index"
            )
        self.committed[space] = max(self.committed.get(space, 0), number)

    def _wait_until_seen(self, space: str) -> None:
        """Wait until reads see all that this connection wrote to a namespace."""
        if self.reconciled.get(space, 0) >= self.committed.get(space, 0):
            return
        from pinecone import NotFoundError

        probe = [1.0] + [0.0] * (self.spec.dim - 1 + self.extra_number)
        for _ in self._poll(f"what was written to {space} is not seen yet"):
            try:
                with self._map_errors():
                    answer = self.index.query(vector=probe, top_k=1, namespace=space)
            except NotFoundError:  # a namespace that was just made, or all is gone
                self.check()
                continue
            now = _read_lsn(answer, RECONCILED)
            if now is None:
                raise VectorError(
                    f"{self.address} does not say how fresh an answer is", hint="is it a serverless index?"
                )
            self.reconciled[space] = now
            if now >= self.committed[space]:
                return

    def _read(self, space: str, call: Callable[[], Any]) -> Any | None:
        """Return an answer that sees all that this connection wrote; None if there is no such namespace yet."""
        from pinecone import NotFoundError

        self._wait_until_seen(space)
        for _ in self._poll(f"the answers from {space} lag behind"):
            try:
                with self._map_errors():
                    answer = call()
            except NotFoundError:
                return None
            now = _read_lsn(answer, RECONCILED)
            if now is None or now >= self.committed.get(space, 0):
                return answer
        raise AssertionError("unreachable")

    def _poll(self, what: str) -> Iterator[None]:
        """Yield again and again, with growing pauses, until the timeout; then raise `Transient`."""
        until, pause = time.monotonic() + self.options.timeout, 0.005
        while True:
            yield
            if time.monotonic() > until:
                raise Transient(f"{self.address}: {what} after {self.options.timeout:.0f} s")
            time.sleep(pause)
            pause = min(2 * pause, 1.0)

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        try:
            with map_errors(self.address):
                yield
        except Transient as error:
            if type(error.__cause__).__name__ == "PineconeConnectionError":  # the host of an index goes with it
                self.check()
            raise


class _Closed:
    def close(self) -> None:
        """Closed again."""

    def __getattr__(self, name: str) -> Any:
        raise VectorError("the store was closed", hint="connect again")


def _read_lsn(answer: Any, names: Sequence[str]) -> int | None:
    """Return the number of a write (LSN) from the headers of an answer, or None."""
    info = getattr(answer, "response_info", None)
    for name in names:
        text = info.raw_headers.get(name) if info is not None else None
        if text is not None and text.isdecimal():
            return int(text)
    return None


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="server", extras=("http", "https"))
