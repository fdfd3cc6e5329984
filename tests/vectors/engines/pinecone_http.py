"""An emulator of Pinecone's control and data plane, API 2025-10: `python pinecone_http.py PORT KEY [PORT PORT]`.

Written after the vendor's OpenAPI documents and its pages on limits, metadata, filters and data freshness; in memory,
compared by numpy. It is as nasty as these let it be:

- a write is there some milliseconds after it was answered; reads say in a header up to which one they see;
- at most 1000 rows or 2 MB an upsert, 40 KB of metadata a row, no null, nothing nested, numbers become float64, no
  vector of zeros; top_k of at most 10,000 and answers of at most 4 MB; ids of ASCII;
- scores and vectors are float32, ties come in no order, the score of `euclidean` is the squared distance;
- a new index is not ready at once, a deleted one stays for a while; a namespace that nobody wrote to is not there;
- now and then a 429 with Retry-After, or a 503; `POST /emulator/refuse?times=N&status=429` asks for more of them.

Where the documents are silent it takes the side that a store should not rely on: `$ne` and `$nin` are false where the
key is missing. With two more ports the requests take the way over two validating proxies (control plane, data plane)
which hand them back to this server.
"""

from __future__ import annotations

import random
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import numpy as np
import orjson
import uvicorn
from pinecone_filters import Bad, compiled
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

METRICS = {"cosine", "dotproduct", "euclidean"}
MEGABYTE = 2**20
METADATA = 40 * 1024
HEADERS = (
    ("x-pinecone-lsn-committed", "x-pinecone-lsn-reconciled"),
    ("x-pinecone-request-lsn", "x-pinecone-max-indexed-lsn"),
)
"""As the vendor's client calls them, and as its guide does; every other index has the other ones."""
Row = tuple[Any, dict[str, Any]]
Chosen = Callable[[dict[str, Row]], list[str]]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, message: str, *, after: float | None = None) -> None:
        self.status, self.message, self.after = status, message, after


class Namespace:
    """Rows as they are seen, and the writes that are not seen yet."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.lsn = self.seen = 0
        self.coming: deque[tuple[int, float, Callable[[dict[str, Row]], None]]] = deque()
        self.matrix: tuple[list[str], Any] | None = None

    def write(self, change: Callable[[dict[str, Row]], None]) -> int:
        """Take a write in; it is seen after a while, in order."""
        self.lsn += 1
        due = max(time.monotonic() + random.choice((0.0, 0.002, 0.005, 0.02)), self.coming[-1][1] if self.coming else 0)
        self.coming.append((self.lsn, due, change))
        return self.lsn

    def settle(self) -> None:
        """Apply what is due."""
        while self.coming and self.coming[0][1] <= time.monotonic():
            self.seen, _, change = self.coming.popleft()
            change(self.rows)
            self.matrix = None

    def vectors(self) -> tuple[list[str], Any]:
        """Return ids and matrix, in an order that nobody should rely on."""
        if self.matrix is None:
            ids = list(self.rows)[::-1]
            self.matrix = ids, np.stack([self.rows[id][0] for id in ids]) if ids else np.empty((0, 0), np.float32)
        return self.matrix


class Index:
    """One index."""

    def __init__(
        self, name: str, dimension: int, metric: str, spec: Mapping[str, Any], host: str, tags: Mapping[str, str]
    ) -> None:
        self.name, self.dimension, self.metric, self.spec, self.host = name, dimension, metric, spec, host
        self.tags = tags
        self.ready_at = time.monotonic() + random.choice((0.0, 0.1))
        self.gone_at = float("inf")
        self.namespaces: dict[str, Namespace] = {}
        self.headers = HEADERS[sum(name.encode()) % 2]

    def model(self) -> dict[str, Any]:
        """Return an IndexModel."""
        ready = time.monotonic() >= self.ready_at
        state = "Terminating" if self.gone_at != float("inf") else "Ready" if ready else "Initializing"
        serverless = {**self.spec["serverless"], "read_capacity": {"mode": "OnDemand", "status": {"state": "Ready"}}}
        return {
            "name": self.name, "dimension": self.dimension, "metric": self.metric, "host": self.host,
            "vector_type": "dense", "deletion_protection": "disabled", "tags": self.tags,
            "spec": {"serverless": serverless}, "status": {"ready": state == "Ready", "state": state},
        }  # fmt: skip


class Service:
    """All indexes of one project."""

    def __init__(self, public: str) -> None:
        self.public = public
        self.indexes: dict[str, Index] = {}

    def index(self, name: str) -> Index:
        """Return an index that is there."""
        found = self.indexes.get(name)
        if found is not None and time.monotonic() >= found.gone_at:
            del self.indexes[name]
            found = None
        if found is None:
            raise Refusal(404, f"Resource {name} not found")
        return found

    # ---- control plane

    def control(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer a request of the control plane."""
        name = path.removeprefix("/indexes").strip("/")
        if method == "GET" and not name:
            return 200, {"indexes": [one.model() for one in self.indexes.values() if time.monotonic() < one.gone_at]}
        if method == "GET":
            return 200, self.index(name).model()
        if method == "DELETE":
            index = self.index(name)
            if index.gone_at == float("inf"):
                index.gone_at = time.monotonic() + random.choice((0.0, 0.1))
            return 202, None
        if method == "POST" and not name:
            return 201, self.create(body)
        raise Refusal(404, f"no operation {method} {path}")

    def create(self, body: Any) -> dict[str, Any]:
        """Make an index."""
        name, dimension, metric = body["name"], body.get("dimension"), body.get("metric", "cosine")
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,43}[a-z0-9])?", name):
            raise Refusal(400, "Name must consist of lower case alphanumeric characters or '-'")
        if metric not in METRICS or not isinstance(dimension, int) or not 1 <= dimension <= 20_000:
            raise Refusal(400, "Bad metric or dimension")
        if set(body["spec"]) != {"serverless"} or not {"cloud", "region"} <= set(body["spec"]["serverless"]):
            raise Refusal(400, "Bad spec")
        try:
            self.index(name)
        except Refusal:
            place, tags = f"{self.public}/i/{name}", body.get("tags") or {}
            self.indexes[name] = Index(name, dimension, metric, body["spec"], place, tags)
            return self.indexes[name].model()
        raise Refusal(409, "Resource  already exists")

    # ---- data plane

    def data(self, name: str, method: str, path: str, request: Request, body: Any) -> tuple[Any, dict[str, str]]:
        """Answer a request of the data plane."""
        index = self.index(name)
        if time.monotonic() < index.ready_at:
            raise Refusal(503, "The index is not ready")
        written, read = index.headers
        if (method, path) == ("GET", "/namespaces"):
            return self.namespaces(index, request.query_params), {}
        given = request.query_params if method == "GET" else body
        place = given.get("namespace") or "__default__"
        space = index.namespaces.get(place)
        if (method, path) == ("POST", "/vectors/upsert"):
            rows = [checked(row, index.dimension) for row in body["vectors"]]
            if not 1 <= len(rows) <= 1000:
                raise Refusal(400, f"an upsert takes 1 to 1000 vectors, not {len(rows)}")
            space = index.namespaces.setdefault(place, Namespace())
            lsn = space.write(lambda held: held.update(rows))
            return {"upsertedCount": len(rows)}, {written: str(lsn)}
        if (method, path) == ("POST", "/vectors/delete"):
            if space is None:
                raise Refusal(404, "Namespace not found")
            return {}, {written: str(space.write(removal(body)))}
        if space is None and sum(name.encode()) % 3 == 0:  # reads of a namespace that nobody wrote to: either way
            raise Refusal(404, "Namespace not found")
        space = space or Namespace()
        space.settle()
        seen = {read: str(space.seen)}
        if (method, path) == ("POST", "/vectors/update"):
            return self.update(space, body, index.dimension, written, seen)
        if (method, path) == ("POST", "/query"):
            return {"matches": query(index, space, body), "namespace": place, "usage": {"readUnits": 1}}, seen
        if (method, path) == ("GET", "/vectors/fetch"):
            ids = request.query_params.getlist("ids")
            if not 1 <= len(ids) <= 1000 or len(request.url.query) > 16_000:
                raise Refusal(414, "URI too long")
            found = {id: shown(id, space.rows[id]) for id in ids if id in space.rows}
            return {"vectors": found, "namespace": place, "usage": {"readUnits": 1}}, seen
        if (method, path) == ("POST", "/vectors/fetch_by_metadata"):
            return {**by_metadata(space, body), "namespace": place, "usage": {"readUnits": 1}}, seen
        raise Refusal(404, f"no operation {method} {path}")

    def namespaces(self, index: Index, query: Mapping[str, str]) -> dict[str, Any]:
        """List namespaces, three a page; the counts lag."""
        names = sorted(index.namespaces)
        start = int(query.get("paginationToken", "0"))
        page = [{"name": name, "record_count": len(index.namespaces[name].rows)} for name in names[start : start + 3]]
        more = {"pagination": {"next": str(start + 3)}} if start + 3 < len(names) else {}
        return {"namespaces": page, "total_count": len(names), **more}

    def update(
        self, space: Namespace, body: Any, dimension: int, written: str, seen: dict[str, str]
    ) -> tuple[Any, dict[str, str]]:
        """Change one row by its id, or many by a filter."""
        if ("id" in body) == ("filter" in body) or "values" in body:
            raise Refusal(400, "an update takes an id or a filter, and here no values")
        fresh = sound(body.get("setMetadata", {}))
        chosen = (
            (lambda held: [body["id"]] if body["id"] in held else []) if "id" in body else selection(body["filter"])
        )
        if body.get("dryRun"):
            return {"matchedRecords": len(chosen(space.rows))}, seen

        def change(held: dict[str, Row]) -> None:
            for id in chosen(held):
                merged = held[id][1] | fresh
                if size(merged) <= METADATA:
                    held[id] = (held[id][0], merged)

        if "id" in body and body["id"] in space.rows and size(space.rows[body["id"]][1] | fresh) > METADATA:
            raise Refusal(400, "metadata size exceeds the limit of 40960 bytes per vector")
        return {}, {written: str(space.write(change))}


def size(metadata: Any) -> int:
    return len(orjson.dumps(metadata))


def sound(metadata: Any) -> dict[str, Any]:
    """Return metadata as Pinecone keeps it, or refuse it."""
    out: dict[str, Any] = {}
    for key, value in metadata.items():
        if key.startswith("$") or not key:
            raise Refusal(400, f"Bad key {key}")
        texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if texts or isinstance(value, str | bool):
            out[key] = value
        elif isinstance(value, int | float):
            out[key] = float(value)
        else:
            raise Refusal(400, f"Metadata value must be a string, number, boolean or list of strings, got {value!r}")
    if size(out) > METADATA:
        raise Refusal(
            400, f"metadata size is {size(out)} bytes, which exceeds the limit of {METADATA} bytes per vector"
        )
    return out


def checked(row: Any, dimension: int) -> tuple[str, Row]:
    """Return a row of an upsert, or refuse it."""
    id = row["id"]
    if not isinstance(id, str) or not 1 <= len(id) <= 512 or not id.isascii() or "\0" in id:
        raise Refusal(400, f"Bad vector id {id!r}")
    with np.errstate(over="ignore"):
        values = np.asarray(row["values"], np.float32)
    if values.shape != (dimension,):
        raise Refusal(
            400, f"Vector dimension {len(row['values'])} does not match the dimension of the index {dimension}"
        )
    if not np.isfinite(values).all() or not values.any():
        raise Refusal(
            400, f"Dense vectors must contain at least one non-zero value. Vector ID '{id}' contains only zeros"
        )
    return id, (values, sound(row.get("metadata") or {}))


def selection(filter: Any) -> Chosen:
    """Return a function that lists the ids of the rows that match."""
    if not filter:
        raise Refusal(400, "a filter must not be empty")
    true = compiled(filter)
    return lambda held: [id for id, (_, metadata) in held.items() if true(metadata)]


def removal(body: Any) -> Callable[[dict[str, Row]], None]:
    """Return the change that a delete makes."""
    if sum((bool(body.get("ids")), bool(body.get("deleteAll")), bool(body.get("filter")))) != 1:
        raise Refusal(400, "a delete takes ids, deleteAll or a filter")
    if body.get("deleteAll"):
        return lambda held: held.clear()
    if body.get("filter"):
        chosen = selection(body["filter"])
    else:
        if len(body["ids"]) > 1000:
            raise Refusal(400, "at most 1000 ids")
        chosen = lambda held: body["ids"]  # noqa: E731

    def remove(held: dict[str, Row]) -> None:
        for id in chosen(held):
            held.pop(id, None)

    return remove


def shown(id: str, row: Row) -> dict[str, Any]:
    return {"id": id, "values": row[0], "metadata": row[1]}


def by_metadata(space: Namespace, body: Any) -> dict[str, Any]:
    """Answer one page of a fetch by metadata; the token is the last id."""
    limit, after = body.get("limit", 100), body.get("paginationToken", "")
    if not 1 <= limit <= 10_000:
        raise Refusal(400, "limit must be 1 to 10000")
    ids = sorted(id for id in selection(body["filter"])(space.rows) if id > after)
    page = {id: shown(id, space.rows[id]) for id in ids[:limit]}
    return {"vectors": page, **({"pagination": {"next": ids[limit - 1]}} if len(ids) > limit else {})}


def query(index: Index, space: Namespace, body: Any) -> list[dict[str, Any]]:
    """Return the matches of one query, best first."""
    k, asked = body["topK"], np.asarray(body.get("vector"), np.float32)
    if not 1 <= k <= 10_000:
        raise Refusal(400, "topK must be 1 to 10000")
    if asked.shape != (index.dimension,) or not asked.any():
        raise Refusal(400, "the query vector has the wrong dimension, or only zeros")
    ids, matrix = space.vectors()
    if body.get("filter"):
        true = compiled(body["filter"])
        places = np.array([n for n, id in enumerate(ids) if true(space.rows[id][1])], np.intp)
        matrix = matrix[places] if len(places) else matrix[:0]
    else:
        places = np.arange(len(ids))
    if not len(places):
        return []
    with np.errstate(over="ignore", invalid="ignore"):
        if index.metric == "euclidean":
            scores = np.square(matrix - asked).sum(axis=1, dtype=np.float32)
        else:
            scores = (matrix * asked).sum(axis=1, dtype=np.float32)
            if index.metric == "cosine":
                scores = scores / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked))
    best = np.argsort(scores if index.metric == "euclidean" else -scores, kind="stable")[:k]
    matches = []
    for place in best.tolist():
        id = ids[places[place]]
        match: dict[str, Any] = {"id": id, "score": scores[place]}
        values, metadata = space.rows[id]
        if body.get("includeValues"):
            match["values"] = values
        if body.get("includeMetadata"):
            match["metadata"] = metadata
        matches.append(match)
    return matches


def written(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def application(port: int, key: str, proxies: tuple[int, int] | None) -> Starlette:
    """Return the server: what comes from outside goes over the proxies where there are any, then is answered."""
    service = Service(f"http://127.0.0.1:{port}")
    refusing: dict[str, Any] = {"times": 0, "status": 429, "after": "0.01"}
    outside = httpx.AsyncClient(trust_env=False, timeout=60)

    async def answer(request: Request) -> Response:
        path = request.url.path
        if path == "/emulator/refuse":
            refusing.update(times=int(request.query_params["times"]), status=int(request.query_params["status"]))
            return Response(written(refusing))
        inside, name = request.headers.get("x-emulator-index"), ""
        if inside is None:
            if path.startswith("/i/"):
                _, _, name, rest = path.split("/", 3)
                path = f"/{rest}"
            if proxies is not None:
                return await handed_on(request, path, name)
            inside = name
        return await answered(request, path, inside)

    async def handed_on(request: Request, path: str, name: str) -> Response:
        headers = {key: value for key, value in request.headers.items() if key not in ("host", "content-length")}
        headers["x-emulator-index"] = name
        assert proxies is not None
        url = f"http://127.0.0.1:{proxies[1 if name else 0]}{path}"
        got = await outside.request(
            request.method, url + (f"?{request.url.query}" if request.url.query else ""),
            headers=headers, content=await request.body(),
        )  # fmt: skip
        kept = {
            name: value for name, value in got.headers.items() if name.startswith("x-pinecone") or name == "retry-after"
        }
        return Response(got.content, got.status_code, kept, media_type=got.headers.get("content-type"))

    async def answered(request: Request, path: str, name: str) -> Response:
        try:
            if request.headers.get("api-key") != key:
                raise Refusal(401, "Invalid API Key")
            if request.headers.get("x-pinecone-api-version") != "2025-10":
                raise Refusal(400, "X-Pinecone-Api-Version must be 2025-10")
            if refusing["times"] > 0:
                refusing["times"] -= 1
                raise Refusal(refusing["status"], "asked to refuse", after=0.01)
            if (chance := random.random()) < 0.005:
                raise Refusal(429 if chance < 0.004 else 503, "too many requests", after=0.02)
            raw = await request.body()
            if len(raw) > 2 * MEGABYTE:
                raise Refusal(400, f"message length {len(raw)} exceeds the limit of {2 * MEGABYTE} bytes")
            body = orjson.loads(raw) if raw else None
            if not name:
                status, content = service.control(request.method, path, body)
                return Response(b"" if content is None else written(content), status, media_type="application/json")
            content, headers = service.data(name, request.method, path, request, body)
            out = written(content)
            if path == "/query" and len(out) > 4 * MEGABYTE:
                raise Refusal(400, f"the answer of {len(out)} bytes exceeds the limit of 4 MB")
            return Response(out, 200, headers, media_type="application/json")
        except (Refusal, Bad, KeyError, TypeError, ValueError) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(400, f"{type(error).__name__}: {error}")
            return refused(refusal, bool(name))

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE", "PATCH"])])


CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
}


def refused(refusal: Refusal, data: bool) -> Response:
    """Return an error in the form of its plane: rpcStatus or ErrorResponse."""
    headers = {} if refusal.after is None else {"retry-after": str(refusal.after)}
    code = CODES.get(refusal.status, "UNAVAILABLE")
    content: Any = {"status": refusal.status, "error": {"code": code, "message": refusal.message}}
    if data:
        content = {"code": 3 if refusal.status == 400 else 14, "message": refusal.message, "details": []}
    return Response(written(content), refusal.status, headers, media_type="application/json")


def main() -> None:
    port, key, *proxies = sys.argv[1:]
    through = (int(proxies[0]), int(proxies[1])) if proxies else None
    uvicorn.run(application(int(port), key, through), host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
