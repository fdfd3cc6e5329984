"""An emulator of Marqo's routes: `python marqo_http.py PORT`.

Written after Marqo's source (2.13, `tensor_search/api.py`, `core/structured_vespa_index`), structured indexes only; in
memory, compared by numpy. It is as strict as that source and the Vespa below it:

- settings, searches and documents with names that are unknown are refused; fields are those of the index, by type;
- 128 documents a request, 100,000 characters a document, 1,000 answers a search and 10,000 with its offset;
- texts with control characters or non-characters are refused, document by document; so are missing ones in a change;
- scores are a closeness in float32, ties come in no order, a deletion counts documents that were not there;
- making and removing indexes conflicts with another such call now and then, and a request is told to come again.
"""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import uvicorn
from marqo_filters import Bad, compiled
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

BATCH, HELD, LIMIT, RETRIEVED, DELETED = 128, 100_000, 1000, 10_000, 10_000
SETTINGS = {
    "type", "allFields", "tensorFields", "model", "modelProperties", "normalizeEmbeddings", "textPreprocessing",
    "imagePreprocessing", "vectorNumericType", "annParameters",
}  # fmt: skip
SEARCH = {
    "q", "searchableAttributes", "searchMethod", "limit", "offset", "efSearch", "approximate", "showHighlights",
    "filter", "attributesToRetrieve", "context", "scoreModifiers",
}  # fmt: skip
KINDS: dict[str, Any] = {"text": str, "int": int, "long": int, "float": float, "double": float, "bool": bool}
ILLEGAL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\ufdd0-\ufddf]")


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status, self.code, self.message = status, code, message


class Index:
    """One structured index."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        if unknown := set(settings) - SETTINGS:
            raise Refusal(422, "unprocessable_entity", f"unknown settings {unknown}")
        if settings.get("type") != "structured" or settings.get("model") != "no_model":
            raise Refusal(400, "invalid_argument", "this emulator has structured indexes with no_model only")
        self.settings = settings
        self.dim = int(settings["modelProperties"]["dimensions"])
        self.space = settings["annParameters"]["spaceType"]
        if self.space not in ("angular", "prenormalized-angular", "euclidean", "dotproduct"):
            raise Refusal(422, "unprocessable_entity", f"no spaceType {self.space}")
        self.types = {field["name"]: field["type"] for field in settings["allFields"]}
        self.filterable = {f["name"]: f["type"] for f in settings["allFields"] if "filter" in f.get("features", [])}
        (self.tensor,) = settings["tensorFields"]
        if self.types[self.tensor] != "custom_vector":
            raise Refusal(400, "invalid_argument", "no_model needs a custom_vector")
        self.documents: dict[str, dict[str, Any]] = {}
        self.vectors: dict[str, Any] = {}
        self.seen: dict[str, dict[str, Any]] = {}
        self.matrix: tuple[list[str], Any] | None = None

    def checked(self, document: Any, *, whole: bool) -> str:
        """Return the id of a document that can be held, or refuse it."""
        if not isinstance(document, dict) or not document:
            raise Refusal(400, "invalid_argument", "documents are mappings that are not empty")
        if len(json.dumps(document)) > HELD:
            raise Refusal(400, "doc_too_large", f"the document exceeds the allowed limit of [{HELD}]")
        key = document.get("_id")
        if not isinstance(key, str) or not key:
            raise Refusal(400, "invalid_document_id", f"{key!r} is no document id")
        for name, value in document.items():
            if name == "_id":
                continue
            if name not in self.types or (name == self.tensor and not whole):
                raise Refusal(400, "invalid_argument", f"{name} is not a valid field")
            self.check_value(name, value)
        return key

    def check_value(self, name: str, value: Any) -> None:
        """Refuse a value that the field cannot hold."""
        kind = self.types[name]
        if kind == "custom_vector":
            vector = value.get("vector") if isinstance(value, dict) else None
            if not isinstance(vector, list) or len(vector) != self.dim or set(value) - {"vector", "content"}:
                raise Refusal(400, "invalid_argument", f"{name} is no custom vector of {self.dim} numbers")
            return
        texts = value if kind == "array<text>" else [value] if kind == "text" else []
        if kind == "array<text>":
            fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
        else:
            fits = isinstance(value, KINDS[kind]) and (kind == "bool" or not isinstance(value, bool))
        if not fits or (kind == "long" and abs(value) >= 2**63):
            raise Refusal(400, "invalid_argument", f"{name} is {kind}, and not {value!r:.80}")
        for text in texts:
            if ILLEGAL.search(text) or any(ord(letter) & 0xFFFE == 0xFFFE for letter in text):
                raise Refusal(400, "vespa_error", f"The string field value of {name} contains illegal code points")

    def put(self, document: dict[str, Any]) -> None:
        """Insert or replace a document."""
        key = document["_id"]
        held = document[self.tensor]
        with np.errstate(over="ignore"):
            self.vectors[key] = np.asarray(held["vector"], np.float32)
        self.documents[key] = {**document, self.tensor: held.get("content") or ""}
        self.note(key)

    def change(self, document: dict[str, Any]) -> None:
        """Set some fields of a document."""
        self.documents[document["_id"]] |= document
        self.note(document["_id"])

    def note(self, key: str) -> None:
        row = self.documents[key]
        self.seen[key] = {
            name: frozenset(text.lower() for text in row[name]) if kind == "array<text>" else row[name]
            for name, kind in self.filterable.items()
            if name in row
        }
        self.matrix = None

    def remove(self, key: str) -> None:
        """Remove a document, if it is there."""
        for held in (self.documents, self.vectors, self.seen):
            held.pop(key, None)
        self.matrix = None

    def shown(self, key: str, names: list[str] | None) -> dict[str, Any]:
        row = self.documents[key]
        return {"_id": key, **{name: row[name] for name in row if name != "_id" and (names is None or name in names)}}

    def search(self, body: Any) -> list[dict[str, Any]]:
        """Return the hits of a tensor search."""
        if unknown := set(body) - SEARCH:
            raise Refusal(422, "unprocessable_entity", f"unknown parameters {unknown}")
        limit, offset, names = body.get("limit", 10), body.get("offset", 0), body.get("attributesToRetrieve")
        if not 1 <= limit <= LIMIT or offset < 0 or limit + offset > RETRIEVED:
            raise Refusal(400, "illegal_requested_doc_count", f"limit {limit}, offset {offset}")
        if body.get("approximate") is False and body.get("efSearch") is not None:
            raise Refusal(400, "invalid_argument", "efSearch is for approximate searches")
        if body.get("searchMethod", "TENSOR").upper() != "TENSOR":
            raise Refusal(400, "invalid_argument", "this emulator has TENSOR search only")
        for name in names or []:
            if name not in self.types:
                raise Refusal(400, "invalid_field_name", f"no field {name}")
        tensors = body["context"]["tensor"]
        asked = np.mean([np.asarray(one["vector"], np.float32) * one["weight"] for one in tensors], axis=0)
        if asked.shape != (self.dim,):
            raise Refusal(400, "invalid_argument", "the vector has another dimension")
        if self.matrix is None:
            keys = list(self.vectors)[::-1]
            self.matrix = keys, np.stack([self.vectors[key] for key in keys]) if keys else np.empty((0, self.dim))
        keys, matrix = self.matrix
        if body.get("filter") is not None:
            test = compiled(body["filter"], self.filterable)
            places = [place for place, key in enumerate(keys) if test(self.seen[key])]
            keys, matrix = [keys[place] for place in places], matrix[places]
        closeness = self.closeness(matrix, asked.astype(np.float32))
        best = np.argsort(-closeness, kind="stable")[offset : offset + limit]
        return [{**self.shown(keys[place], names), "_score": float(closeness[place])} for place in best.tolist()]

    def closeness(self, matrix: Any, asked: Any) -> Any:
        """Return Vespa's closeness: the product, or 1 / (1 + distance)."""
        with np.errstate(all="ignore"):
            if self.space == "euclidean":
                distance = np.sqrt(np.square(matrix - asked).sum(axis=1, dtype=np.float32))
            else:
                product = (matrix * asked).sum(axis=1, dtype=np.float32)
                if self.space == "dotproduct":
                    return product
                cosine = product if self.space == "prenormalized-angular" else self.cosine(matrix, asked, product)
                distance = 1 - cosine if self.space == "prenormalized-angular" else np.arccos(np.clip(cosine, -1, 1))
            return (1 / (1 + distance)).astype(np.float32)

    def cosine(self, matrix: Any, asked: Any, product: Any) -> Any:
        return product / (np.linalg.norm(matrix, axis=1) * np.linalg.norm(asked))


class Service:
    """All indexes."""

    def __init__(self) -> None:
        self.indexes: dict[str, Index] = {}

    def index(self, name: str) -> Index:
        """Return an index that is there."""
        if name not in self.indexes:
            raise Refusal(404, "index_not_found", f"Index {name} not found")
        return self.indexes[name]

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Answer a request."""
        if (method, path) == ("GET", "/"):
            return {"message": "Welcome to Marqo", "version": "2.13 (emulator)"}
        found = re.fullmatch(r"/indexes/([A-Za-z_][\w-]*)(/.+)?", path)
        if found is None:
            raise Refusal(404, "not_found", f"no route {path}")
        name, rest = found[1], found[2] or ""
        if random.random() < 0.003:
            raise Refusal(429, "too_many_requests", "throttled")
        if (method, rest) == ("POST", ""):
            if name in self.indexes:
                raise Refusal(409, "index_already_exists", f"Index {name} already exists")
            if random.random() < 0.05:
                raise Refusal(409, "operation_conflict_error", "Another index creation/deletion is in progress")
            self.indexes[name] = Index(body)
            return {"acknowledged": True, "index": name}
        index = self.index(name)
        if (method, rest) == ("DELETE", ""):
            del self.indexes[name]
            return {"acknowledged": True}
        if (method, rest) == ("GET", "/settings"):
            return index.settings
        if (method, rest) == ("GET", "/stats"):
            count = len(index.documents)
            return {"numberOfDocuments": count, "numberOfVectors": count, "backend": {}}
        if (method, rest) == ("POST", "/search"):
            hits = index.search(body)
            return {"hits": hits, "query": None, "limit": body.get("limit", 10), "offset": 0, "processingTimeMs": 1}
        if rest == "/documents" and method in ("POST", "PATCH"):
            return self.documents(index, name, body, whole=method == "POST")
        if (method, rest) == ("GET", "/documents"):
            if not isinstance(body, list) or not 1 <= len(body) <= RETRIEVED:
                raise Refusal(400, "invalid_argument", "a list of ids that is not empty")
            results: list[dict[str, Any]] = [
                {"_found": True, **index.shown(key, None)}
                if key in index.documents
                else {"_id": key, "status": 404, "_found": False, "message": "Document does not exist in the index"}
                for key in body
            ]
            return {"errors": any(not one["_found"] for one in results), "results": results}
        if (method, rest) == ("POST", "/documents/delete-batch"):
            if not body or len(body) > DELETED or not all(isinstance(key, str) for key in body):
                raise Refusal(400, "invalid_document_id", "doc_ids can't be empty!")
            for key in body:
                index.remove(key)
            return {"index_name": name, "status": "succeeded", "details": {"deletedDocuments": len(body)}}
        raise Refusal(404, "not_found", f"no route {method} {path}")

    def documents(self, index: Index, name: str, body: Any, *, whole: bool) -> Any:
        """Insert, replace or change documents; what is wrong with one is its own error."""
        if unknown := set(body) - {"documents", "tensorFields", "mappings", "useExistingTensors"}:
            raise Refusal(422, "unprocessable_entity", f"unknown parameters {unknown}")
        if "tensorFields" in body:
            raise Refusal(400, "invalid_argument", "Cannot specify 'tensorFields' with a structured index")
        if not 1 <= len(body["documents"]) <= BATCH:
            raise Refusal(400, "bad_request", f"1 to {BATCH} documents, not {len(body['documents'])}")
        items = []
        for document in body["documents"]:
            key = document.get("_id", "") if isinstance(document, dict) else ""
            try:
                index.checked(document, whole=whole)
                if not whole and key not in index.documents:
                    raise Refusal(404, "document_not_found", "Document does not exist in the index")
                if whole:
                    index.put(document)
                else:
                    index.change(document)
                items.append({"_id": key, "status": 200})
            except Refusal as error:
                told = {"error": error.message, "message": error.message, "code": error.code}
                items.append({"_id": key, "status": error.status, **told})
        errors = any(item["status"] != 200 for item in items)
        return {"errors": errors, "index_name": name, "items": items, "processingTimeMs": 1.0}


def application() -> Starlette:
    """Return the server."""
    service = Service()

    async def answer(request: Request) -> JSONResponse:
        try:
            raw = await request.body()
            return JSONResponse(service.answer(request.method, request.url.path, json.loads(raw) if raw else None))
        except (Refusal, Bad, KeyError, TypeError, ValueError) as error:
            known = isinstance(error, Refusal)
            refusal = error if known else Refusal(400, "invalid_argument", f"{type(error).__name__}: {error}")
            assert isinstance(refusal, Refusal)
            told = {"message": refusal.message, "code": refusal.code, "type": "invalid_request", "link": ""}
            return JSONResponse(told, refusal.status)

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "DELETE", "PATCH"])])


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
