"""Chroma, in a folder of this machine (`chroma://PATH`) or behind its server (`chroma://host:8000`,
`chroma+https://…`).

Tested against chromadb 1.5.9, embedded and `chroma run`. What it does to values is worked around here:

- an upsert merges metadata into the old, so every record has the same few keys, which an upsert always sets: `m` the
  metadata as JSON, `d` the document, `t` the tags that filters ask for (`dizuo.vectors.exact.tags_and_numbers`). The
  numbers beside these may be left over, so no condition reads one without a tag;
- its server reads some numbers of a JSON text as their neighbours (3.4028234663852886e38), and not the same in a filter
  as in a record; so a number is sent as the whole number that its bits are;
- its cosine space gives back other vectors than it got; there `v` has the bytes of the original;
- it has an approximate index and nothing else, so `exact=True` reads the matching vectors and compares them here;
- it pages by offset only, which shifts when records go; so a scan lists all ids in one call, and reads by these;
- every namespace is a Chroma collection of its own, whose name has the mark of ours; a folder is safe for one process
  at a time, a server for many.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Watcher
from dizuo.vectors import scores
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.connecting.options import KeyOptions
from dizuo.vectors.exact.scan import filter_blocks, find_nearest, scan_namespaces
from dizuo.vectors.exact.tags_and_numbers import Condition, flatten, flatten_filter
from dizuo.vectors.exact.ties import include_ties
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.collection import CollectionRequest, CollectionSpec
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import CollectionGone, Denied, RowErrors, Transient, Unreachable
from dizuo.vectors.protocol.guard import check_client
from dizuo.vectors.protocol.store import Columns, SearchResult, open_or_close
from dizuo.vectors.stores.chroma.filters import as_integers, write_condition
from dizuo.vectors.stores.chroma.limits import FILTERS, LIMITS, find_fault
from dizuo.vectors.writing.naming import generation_name, new_generation, physical_name
from dizuo.vectors.writing.retrying import send_batches

__all__ = ["STORE"]

SPACES = {"cosine": "cosine", "dot": "ip", "l2": "l2"}


@dataclass(frozen=True, slots=True)
class Options(KeyOptions):
    """What the query of the URL may set."""

    tenant: str = "default_tenant"
    """Chroma's tenant, on a server."""
    database: str = "default_database"
    """Chroma's database, on a server."""
    max_neighbors: int = 24
    """Links per vector in the HNSW graph; only at the making of a collection."""
    ef_construction: int = 200
    """Candidates looked at while a vector is linked; only at the making of a collection."""
    ef_search: int = 200
    """Candidates looked at in a search; only at the making of a collection."""


def open_store(url: Url, request: CollectionRequest, options: Options) -> Chroma:
    """Open the collection; it is made if it does not exist."""
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise MissingPackage("chromadb", purpose="chroma://", install="dizuo[chroma]") from error
    settings = Settings(anonymized_telemetry=False)
    folder: Path | None = None
    with map_errors(str(url)):
        if url.port is None and not url.extra:
            if not url.place:
                raise VectorError("chroma:// names no folder and no server", hint="chroma://PATH or chroma://HOST:PORT")
            check_client("Chroma in a folder")
            folder = Path(url.place).expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            client = chromadb.PersistentClient(os.fspath(folder.resolve()), settings=settings)
        else:
            secure = url.extra == "https"
            headers = {"Authorization": f"Bearer {url.password}"} if url.password else {}
            client = chromadb.HttpClient(
                host=url.host or "127.0.0.1",
                port=url.port or (443 if secure else 8000),
                ssl=secure,
                headers=headers,
                settings=settings,
                tenant=options.tenant,
                database=options.database,
            )
    return open_or_close(Chroma(client, options, folder, str(url)), request)


class Chroma:
    """A collection in Chroma; `dizuo.vectors.protocol.store.Store` says what the methods do."""

    batch_rows = 1000
    batch_bytes = 8 * 2**20

    spec: CollectionSpec
    root: str
    prefix: str
    generation: str

    def __init__(self, client: Any, options: Options, folder: Path | None, address: str) -> None:
        self.client, self.options, self.address = client, options, address
        self.sidecar_folder: Path | None = None if folder is None else folder / "dizuo-lexical"
        self.held: dict[str, Any] = {}
        self.capabilities = Capabilities(
            several_writers=folder is None,
            filters=FILTERS,
            notes={
                "several_writers": "a folder is safe for one process; use `chroma run`",
                "lexical": "Chroma has no BM25",
            },
        )

    def open(self, request: CollectionRequest) -> None:
        """Find or make the Chroma collection that holds dim and metric; each namespace has another."""
        from chromadb.errors import NotFoundError

        self.root = physical_name(request.collection)
        with self._map_errors():
            try:
                collection = self.client.get_collection(self.root, embedding_function=None)
            except NotFoundError:
                spec = request.check_new()
                facts: dict[str, Any] = {"dim": spec.dim, "metric": spec.metric, "collection": spec.collection}
                facts["generation"] = new_generation()
                collection = self.client.get_or_create_collection(
                    self.root, embedding_function=None, metadata={"dizuo": json.dumps(facts)}
                )
        # Another process may have made it first, so what it says counts.
        facts = json.loads(collection.metadata["dizuo"])
        self.spec, self.generation = request.check_existing(facts["dim"], facts["metric"]), facts.get("generation", "")
        self.prefix = f"{generation_name(self.root, self.generation)}."

    # ---- writing

    def upsert(self, namespace: str, block: Block, *, wait: bool) -> None:
        rows: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        for id, vector, row, text, document in zip(
            block.ids, block.vectors, block.metadata, block.metadata_texts, block.documents, strict=True
        ):
            flat = flatten(row)
            if fault := find_fault(flat):
                refused[id] = fault
                continue
            held: dict[str, Any] = {"t": flat.tags, "m": text, "d": "" if document is None else f"={document}"}
            if self.spec.metric == "cosine":
                held["v"] = base64.b64encode(vector.tobytes()).decode("ascii")
            rows.append(held | as_integers(flat.numbers))
        if refused:
            block = block.take([row for row, id in enumerate(block.ids) if id not in refused])
        with self._map_errors():
            space = self._open_namespace(namespace, make=True)
            if rows:
                space.upsert(ids=block.ids, embeddings=block.vectors, metadatas=rows)
        if refused:
            raise RowErrors(refused)

    def set_metadata(self, namespace: str, block: Block) -> int:
        space = self._open_namespace(namespace)
        if space is None:
            return 0
        rows: dict[str, dict[str, Any]] = {}
        refused: dict[str, str] = {}
        with self._map_errors():
            there = set(space.get(ids=block.ids, include=[])["ids"])
            for id, row, text in zip(block.ids, block.metadata, block.metadata_texts, strict=True):
                flat = flatten(row)
                if id in there and (fault := find_fault(flat)):
                    refused[id] = fault
                elif id in there:
                    rows[id] = {"t": flat.tags, "m": text} | as_integers(flat.numbers)
            if rows:
                space.update(ids=list(rows), metadatas=list(rows.values()))
        if refused:
            raise RowErrors(refused)
        return len(there)

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        space = self._open_namespace(namespace)
        if space is None:
            return 0
        with self._map_errors():
            if ids is not None:
                there = space.get(ids=list(ids), include=[])["ids"]
            else:
                there = [id for block in self._scan_rows(namespace, where, frozenset(), 5000) for id in block.ids]

        def remove(part: Sequence[str]) -> None:
            with self._map_errors():
                space.delete(ids=list(part))

        send_batches(there, self.batch_rows, remove)
        return len(there)

    # ---- reading

    def fetch(self, namespace: str, ids: Sequence[str], *, columns: Columns) -> Block:
        space = self._open_namespace(namespace)
        if space is None or not ids:
            return self._to_block({"ids": []}, columns)
        with self._map_errors():
            return self._to_block(space.get(ids=list(ids), include=self._include(columns)), columns)

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        space = self._open_namespace(namespace)
        condition, same = flatten_filter(where)
        if space is None:
            return [SearchResult(self._to_block({"ids": []}, columns), np.empty(0)) for _ in queries]
        if exact or not same or self._count(space) <= 10 * k:
            return self._compare_all(namespace, queries, k, where, columns)
        results = []
        for query in queries:

            def ask(number: int, query: Floats = query) -> SearchResult:
                return self._search_index(space, query, number, condition, columns)

            result = include_ties(ask, k, most=10 * k)
            # Fewer than k: either no more rows match, or the graph did not reach them.
            results.append(
                result if len(result.scores) >= k else self._compare_all(namespace, query[None], k, where, columns)[0]
            )
        return results

    def _search_index(
        self, space: Any, query: Floats, number: int, condition: Condition, columns: Columns
    ) -> SearchResult:
        include = ["distances", *self._include(columns)]
        with self._map_errors():
            got = space.query(
                query_embeddings=query[None], n_results=number, where=write_condition(condition), include=include
            )
        first: dict[str, Any] = {"ids": got["ids"][0]}
        first |= {name: got[name][0] for name in ("metadatas", "embeddings") if got.get(name) is not None}
        distances = np.asarray(got["distances"][0], np.float64)
        from_distance = scores.from_squared_distance if self.spec.metric == "l2" else scores.from_cosine_distance
        return SearchResult(self._to_block(first, columns), from_distance(distances), "index", len(distances))

    def _compare_all(
        self, namespace: str, queries: Floats, k: int, where: Filter | None, columns: Columns
    ) -> list[SearchResult]:
        rows = self._scan_rows(namespace, where, columns | {"vectors"}, 1000)
        return find_nearest(rows, queries, k=k, metric=self.spec.metric, columns=columns)

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        raise AssertionError("Chroma has no words")

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        return scan_namespaces(namespace, self.namespaces, lambda name: self._scan_rows(name, where, columns, rows))

    def _scan_rows(self, namespace: str, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        """Yield the rows that match, in the order in which they came."""
        space = self._open_namespace(namespace)
        if space is None:
            return
        condition, same = flatten_filter(where)
        rows = min(rows, self.batch_rows)
        with self._map_errors():
            ids = space.get(where=write_condition(condition), include=[])["ids"]
        listed = same and not columns
        # A record may have changed after it was listed, so the filter is checked again. (Chroma can do that too, in six
        # seconds for 1,000 ids.)
        needed = columns if where is None or listed else columns | {"metadata"}
        for start in range(0, len(ids), rows):
            part = ids[start : start + rows]
            with self._map_errors():
                got = {"ids": part} if listed else space.get(ids=part, include=self._include(needed))
            if got["ids"]:
                blocks = filter_blocks([self._to_block(got, needed)], None if listed else where)
                yield from (block.only(columns) for block in blocks)

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        if namespace is None:
            return sum(self.count(name, where=where) for name in self.namespaces())
        space = self._open_namespace(namespace)
        if space is None:
            return 0
        if where is None:
            return self._count(space)
        return sum(len(block) for block in self._scan_rows(namespace, where, frozenset(), 5000))

    def namespaces(self) -> Mapping[str, int]:
        with self._map_errors():
            spaces = [space for space in self.client.list_collections() if space.name.startswith(self.prefix)]
            counts = {space.metadata["namespace"]: space.count() for space in spaces}
        return {name: counts[name] for name in sorted(counts) if counts[name]}

    # ---- the collection

    def check(self) -> None:
        """Read the collection that has the mark, and compare: handles of Chroma's collections outlive these."""
        from chromadb.errors import NotFoundError

        with map_errors(self.address):
            try:
                facts = json.loads(self.client.get_collection(self.root, embedding_function=None).metadata["dizuo"])
            except NotFoundError:
                raise CollectionGone(self.spec.collection, remade=False) from None
        if facts.get("generation", "") != self.generation:
            raise CollectionGone(self.spec.collection, remade=True)

    def refresh(self) -> None:
        """Nothing to do: Chroma's writes are visible when they return."""

    def optimize(self, *, force_index: bool, watch: Watcher) -> None:
        """Nothing to do: Chroma keeps its HNSW graph by itself."""

    def info(self) -> EngineInfo:
        with self._map_errors():
            version = self.client.get_version()
        rows = sum(self.namespaces().values())
        details = {"ef_search": self.options.ef_search, "max_neighbors": self.options.max_neighbors}
        return EngineInfo("Chroma", version, "hnsw", rows, where=f"{self.address} {self.root}", details=details)

    def drop(self) -> None:
        from chromadb.errors import NotFoundError

        with map_errors(self.address):
            names = [collection.name for collection in self.client.list_collections()]
            if self.root in names:
                self.check()
            # The one with the mark goes first: from then on nobody makes another namespace.
            for name in [self.root] * (self.root in names) + [name for name in names if name.startswith(self.prefix)]:
                try:
                    self.client.delete_collection(name)
                except NotFoundError:
                    continue
        self.held.clear()

    def close(self) -> None:
        self.held.clear()
        client, self.client = self.client, _Closed()
        if not isinstance(client, _Closed):
            # Chroma's own close() leaves the connections of its two HTTP clients open (1.5.9).
            owners = (client, getattr(client, "_admin_client", None))
            sessions = [getattr(getattr(owner, "_server", None), "_session", None) for owner in owners]
            client.close()
            for session in sessions:
                if session is not None:
                    session.close()

    # ---- inside

    def _open_namespace(self, namespace: str, *, make: bool = False) -> Any:
        """Return Chroma's collection of a namespace; None if it does not exist and `make` is not set."""
        from chromadb.errors import NotFoundError

        if namespace in self.held:
            return self.held[namespace]
        name = f"{self.prefix}{hashlib.sha256(namespace.encode()).hexdigest()[:16]}"
        with map_errors(self.address):
            if make:
                self.check()
                hnsw = {
                    "space": SPACES[self.spec.metric],
                    "max_neighbors": self.options.max_neighbors,
                    "ef_construction": self.options.ef_construction,
                    "ef_search": self.options.ef_search,
                }
                space = self.client.get_or_create_collection(
                    name, embedding_function=None, metadata={"namespace": namespace}, configuration={"hnsw": hnsw}
                )
            else:
                try:
                    space = self.client.get_collection(name, embedding_function=None)
                except NotFoundError:
                    return None
        self.held[namespace] = space
        return space

    def _count(self, space: Any) -> int:
        with self._map_errors():
            return int(space.count())

    def _include(self, columns: Columns) -> list[Literal["metadatas", "embeddings"]]:
        cosine = self.spec.metric == "cosine"
        include: list[Literal["metadatas", "embeddings"]] = []
        if columns & {"metadata", "documents"} or (cosine and "vectors" in columns):
            include.append("metadatas")
        if "vectors" in columns and not cosine:
            include.append("embeddings")
        return include

    def _to_block(self, got: Mapping[str, Any], columns: Columns) -> Block:
        ids, rows = list(got["ids"]), got.get("metadatas") or []
        vectors: Floats | None = None
        if "vectors" in columns:
            if self.spec.metric == "cosine":
                raw = b"".join(base64.b64decode(row["v"]) for row in rows)
                vectors = np.frombuffer(raw, np.float32).reshape(len(ids), self.spec.dim)
            else:
                vectors = np.asarray(got.get("embeddings", []), np.float32).reshape(len(ids), self.spec.dim)
        return Block(
            ids,
            vectors,
            [row["m"] for row in rows] if "metadata" in columns else None,
            [row["d"][1:] if row["d"] else None for row in rows] if "documents" in columns else None,
        )

    @contextmanager
    def _map_errors(self) -> Iterator[None]:
        from chromadb.errors import NotFoundError

        with map_errors(self.address):
            try:
                yield
            except NotFoundError:  # a namespace that was there goes only with the whole collection
                raise CollectionGone(self.spec.collection) from None


class _Closed:
    def __getattr__(self, name: str) -> Any:
        raise VectorError("the store was closed", hint="connect again")


@contextmanager
def map_errors(address: str) -> Iterator[None]:
    """Turn Chroma's exceptions into ours."""
    import httpx
    from chromadb.errors import AuthorizationError, ChromaAuthError, ChromaError, NotFoundError, RateLimitError

    try:
        yield
    except NotFoundError:
        raise
    except (AuthorizationError, ChromaAuthError) as error:
        raise Denied(f"{address} refused the token", hint="check the password in the address") from error
    except RateLimitError as error:
        raise Transient(f"{address} is busy: {error}") from error
    except (httpx.TimeoutException, httpx.TransportError) as error:
        raise Transient(f"{address} does not answer: {error}", hint="is `chroma run` alive?") from error
    except ChromaError as error:
        raise VectorError(f"Chroma: {error}") from error
    except ValueError as error:
        if "Could not connect" in str(error):
            hint = "start it with: chroma run --path FOLDER"
            raise Unreachable(f"no Chroma server answers at {address}", hint=hint) from error
        raise


STORE = Database(options=Options, open=open_store, limits=LIMITS, form="either", extras=("http", "https"))
