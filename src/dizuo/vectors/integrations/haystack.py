"""A dizuo store as a Haystack document store with its retrievers: any of dizuo's databases in a pipeline.

    from dizuo.vectors.integrations.haystack import DizuoDocumentStore, DizuoEmbeddingRetriever

    document_store = DizuoDocumentStore("lancedb://./index", embedding_dim=384)
    document_store.write_documents(documents)
    pipeline.add_component("retriever", DizuoEmbeddingRetriever(document_store, top_k=5))

It passes `haystack.testing.document_store.DocumentStoreBaseExtendedTests` and the asynchronous tests beside them. A
document's content is the record's document and its meta the record's metadata, unchanged; what only Haystack knows (a
blob, a sparse embedding) is under the metadata key `_haystack`. Documents without an embedding, which no vector
database holds, are kept in a namespace of their own beside the others.
"""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from datetime import datetime
from functools import cached_property
from typing import Any

from dizuo.errors import MissingPackage, VectorError
from dizuo.redaction import is_secret_name, redact
from dizuo.vectors import vector_store
from dizuo.vectors.connecting.connect import connect, find_store
from dizuo.vectors.filters.tree import And, Filter, Not, Or, field
from dizuo.vectors.points import Hits, Point
from dizuo.vectors.scores import Metric

try:
    from haystack import component, default_from_dict, default_to_dict
    from haystack.dataclasses import ByteStream, Document, SparseEmbedding
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy, FilterPolicy
    from haystack.document_stores.types.filter_policy import apply_filter_policy
    from haystack.errors import FilterError
    from haystack.utils.auth import Secret
except ImportError:
    raise MissingPackage("haystack-ai", purpose="Haystack's stores", install="dizuo[haystack]") from None

__all__ = ["DizuoDocumentStore", "DizuoEmbeddingRetriever", "DizuoHybridRetriever", "to_filter"]

OWN = "_haystack"
"""Metadata key of what only Haystack knows."""


class DizuoDocumentStore:
    """Documents in any of dizuo's databases; connects at first use.

    Args:
        url: as `dizuo.connect` takes it; a `Secret` where a password is in it, so that pipelines can be saved.
        embedding_dim: numbers in an embedding; only needed to make a collection.
        metric: `cosine` (unless set), `dot` or `l2`; scores of answers are higher where nearer, always.
        collection: which set of documents; several can live in one database.
        namespace: the part of the collection to work in.
        lexical: where the index of words goes if the database has none, for `DizuoHybridRetriever`.
        options: of the store, as in the URL's query.
    """

    def __init__(
        self,
        url: str | Secret,
        *,
        embedding_dim: int | None = None,
        metric: Metric | None = None,
        collection: str = "default",
        namespace: str = "",
        lexical: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.url = url
        self.embedding_dim = embedding_dim
        self.metric = metric
        self.collection = collection
        self.namespace = namespace
        self.lexical = lexical
        self.options = options or {}

    @cached_property
    def store(self) -> vector_store.VectorStore:
        """The dizuo store of the documents with embeddings."""
        url = self.url.resolve_value() if isinstance(self.url, Secret) else self.url
        return connect(
            url, dim=self.embedding_dim, metric=self.metric, collection=self.collection, namespace=self.namespace,
            lexical=self.lexical, **self.options,
        )  # fmt: skip

    @cached_property
    def _bare(self) -> vector_store.VectorStore:
        """Documents without embeddings. They have a vector that nobody searches, since every record needs one."""
        return self.store.namespace(f"{self.namespace} without embedding")

    def to_dict(self) -> dict[str, Any]:
        """Return the store's settings for a pipeline's file.

        Raises:
            VectorError: there is a password or a key in the URL or the options, which would end up in that file.
        """
        hint = 'put all of it into the URL and give url=Secret.from_env_var("NAME") to the store'
        parts = find_store(self.url)[0] if isinstance(self.url, str) else None
        for name in (*(parts.query if parts else ()), *self.options):
            if is_secret_name(name):
                raise VectorError(f"the option {name} would be written into the pipeline's file", hint=hint)
        if parts is not None and (parts.password is not None or redact(str(self.url)) != self.url):
            raise VectorError(f"the login in {parts} would be written into the pipeline's file", hint=hint)
        names = ("url", "embedding_dim", "metric", "collection", "namespace", "lexical", "options")
        settings: dict[str, Any] = default_to_dict(self, **{name: getattr(self, name) for name in names})
        return settings

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> DizuoDocumentStore:
        """Return the store that `to_dict` described."""
        store: DizuoDocumentStore = default_from_dict(cls, data)
        return store

    # ---- documents

    def count_documents(self) -> int:
        """Return the number of documents."""
        return self.store.count() + self._bare.count()

    def count_documents_by_filter(self, filters: dict[str, Any]) -> int:
        """Return the number of documents that match."""
        where = to_filter(filters)
        return self.store.count(where) + self._bare.count(where)

    def filter_documents(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the documents that match, those with embeddings first, in no further order.

        Raises:
            FilterError: the filters are malformed, or ask for what dizuo cannot filter by.
        """
        if (ids := _asked_ids(filters)) is not None:  # as `AutoMergingRetriever` asks
            dense = [_document(p.id, p.document, p.metadata, p.vector) for p in self.store.fetch(ids)]
            return dense + [_document(p.id, p.document, p.metadata) for p in self._bare.fetch(ids)]
        where = to_filter(filters)
        with_embedding = [_document(p.id, p.document, p.metadata, p.vector) for p in self.store.points(where)]
        return with_embedding + [_document(p.id, p.document, p.metadata) for p in self._bare.points(where)]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Write documents and return how many were written.

        Args:
            documents: with or without embeddings.
            policy: of documents whose id is there already; `NONE` is `FAIL`. Whether an id is there is asked before
                anything is written: between the two another process may write it.

        Raises:
            DuplicateDocumentError: an id is there already, or twice among these; nothing was written.
            ValueError: these are no documents.
        """
        if not isinstance(documents, list) or not all(isinstance(document, Document) for document in documents):
            raise ValueError("write_documents takes a list of Documents")
        chosen = {document.id: document for document in documents}
        if policy is not DuplicatePolicy.OVERWRITE:
            there = self._there(list(chosen))
            if policy is DuplicatePolicy.SKIP:
                firsts = {document.id: document for document in reversed(documents)}
                chosen = {id: firsts[id] for id in chosen if id not in there}
            elif there or len(chosen) < len(documents):
                counts = Counter(document.id for document in documents)
                twice = sorted(there or {id for id, count in counts.items() if count > 1})
                raise DuplicateDocumentError(f"documents are there already: {', '.join(twice[:10])}")
        dense = [_point(document, document.embedding) for document in chosen.values() if document.embedding is not None]
        nowhere = [1.0] + [0.0] * (self.store.dim - 1)
        bare = [_point(document, nowhere) for document in chosen.values() if document.embedding is None]
        # A document that gained or lost its embedding leaves its old place after it is in the new one.
        for target, points, other in ((self.store, dense, self._bare), (self._bare, bare, self.store)):
            if points:
                target.upsert(points)
                other.delete([point.id for point in points])
        return len(documents) if policy is DuplicatePolicy.OVERWRITE else len(chosen)

    def delete_documents(self, document_ids: list[str]) -> None:
        """Remove the documents with these ids; ids that are not there are no error."""
        self.store.delete(document_ids)
        self._bare.delete(document_ids)

    def delete_all_documents(self) -> None:
        """Remove all documents."""
        self.store.clear()
        self._bare.clear()

    def delete_by_filter(self, filters: dict[str, Any]) -> int:
        """Remove the documents that match; return how many there were."""
        where = _some(filters)
        return self.store.delete(where=where) + self._bare.delete(where=where)

    def update_by_filter(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set keys of the meta of the documents that match; return how many there were."""
        where = _some(filters)
        changed = 0
        for store in (self.store, self._bare):
            # All ids first: a change may decide whether a record matches.
            ids = [id for block in store.scan(where, columns=()) for id in block.ids]
            changed += store.update_metadata(dict.fromkeys(ids, meta))
        return changed

    # ---- retrieval

    def embedding_retrieval(
        self, query_embedding: list[float], *, filters: dict[str, Any] | None = None, top_k: int = 10,
        exact: bool = False, return_embedding: bool = False,
    ) -> list[Document]:  # fmt: skip
        """Return the `top_k` documents nearest to an embedding, best first; every matching one compared if `exact`."""
        where = to_filter(filters)
        return _answers(self.store.search(query_embedding, top_k, where=where, exact=exact, vectors=return_embedding))

    def hybrid_retrieval(
        self, query: str, query_embedding: list[float], *, filters: dict[str, Any] | None = None, top_k: int = 10,
        return_embedding: bool = False,
    ) -> list[Document]:  # fmt: skip
        """Return the `top_k` best of a vector search and BM25 together, fused by reciprocal rank."""
        where = to_filter(filters)
        return _answers(self.store.hybrid(query, query_embedding, top_k, where=where, vectors=return_embedding))

    def _there(self, ids: list[str]) -> set[str]:
        return {id for store in (self.store, self._bare) for block in store.blocks(ids) for id in block.ids}

    # ---- the same, awaited: in threads, as all of dizuo

    async def count_documents_async(self) -> int:
        """Return the number of documents."""
        return await asyncio.to_thread(self.count_documents)

    async def count_documents_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Return the number of documents that match."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def filter_documents_async(self, filters: dict[str, Any] | None = None) -> list[Document]:
        """Return the documents that match."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """Write documents and return how many were written."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """Remove the documents with these ids."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self) -> None:
        """Remove all documents."""
        await asyncio.to_thread(self.delete_all_documents)

    async def delete_by_filter_async(self, filters: dict[str, Any]) -> int:
        """Remove the documents that match; return how many there were."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: dict[str, Any], meta: dict[str, Any]) -> int:
        """Set keys of the meta of the documents that match; return how many there were."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)


class _Retriever:
    """What both retrievers share: their settings, and how filters of a run and of the component go together."""

    def __init__(
        self, document_store: DizuoDocumentStore, *, filters: dict[str, Any] | None = None, top_k: int = 10,
        return_embedding: bool = False, filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:  # fmt: skip
        if not isinstance(document_store, DizuoDocumentStore):
            raise TypeError("document_store must be a DizuoDocumentStore")
        self.document_store = document_store
        self.filters = filters
        self.top_k = top_k
        self.return_embedding = return_embedding
        self.filter_policy = filter_policy if isinstance(filter_policy, FilterPolicy) else FilterPolicy(filter_policy)

    def to_dict(self) -> dict[str, Any]:
        """Return the component's settings for a pipeline's file."""
        settings: dict[str, Any] = default_to_dict(
            self, document_store=self.document_store, filters=self.filters, top_k=self.top_k,
            return_embedding=self.return_embedding, filter_policy=self.filter_policy.value,
        )  # fmt: skip
        return settings

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Any:
        """Return the component that `to_dict` described."""
        return default_from_dict(cls, data)

    def _asked(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        return {
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else top_k,
            "return_embedding": self.return_embedding,
        }


@component
class DizuoEmbeddingRetriever(_Retriever):
    """The documents nearest to an embedding.

    Args:
        document_store: a `DizuoDocumentStore`.
        filters: which documents.
        top_k: answers.
        return_embedding: bring the documents' embeddings too.
        filter_policy: `replace` or `merge` the filters of a run with those above.
    """

    @component.output_types(documents=list[Document])
    def run(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return the documents nearest to the embedding, best first."""
        asked = self._asked(filters, top_k)
        return {"documents": self.document_store.embedding_retrieval(query_embedding, **asked)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query_embedding: list[float], filters: dict[str, Any] | None = None, top_k: int | None = None
    ) -> dict[str, list[Document]]:
        """Return what `run` does."""
        return await asyncio.to_thread(self.run, query_embedding, filters, top_k)


@component
class DizuoHybridRetriever(_Retriever):
    """The best of a vector search and BM25 over the contents together, fused by reciprocal rank (k = 60).

    Arguments as of `DizuoEmbeddingRetriever`.
    """

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, query_embedding: list[float], filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:  # fmt: skip
        """Return the best documents for the words and the embedding of a query, best first."""
        asked = self._asked(filters, top_k)
        return {"documents": self.document_store.hybrid_retrieval(query, query_embedding, **asked)}

    @component.output_types(documents=list[Document])
    async def run_async(
        self, query: str, query_embedding: list[float], filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:  # fmt: skip
        """Return what `run` does."""
        return await asyncio.to_thread(self.run, query, query_embedding, filters, top_k)


# ---- filters


def to_filter(filters: dict[str, Any] | None) -> Filter | None:
    """Return the dizuo filter that Haystack's filters mean.

    As in Haystack a missing key counts as None, and `!=` and `not in` are true there. Dates are ISO texts and compare
    as text, so they should all be written in one way. True is not 1.

    Raises:
        FilterError: malformed filters; a field that is not a top-level key of `meta`; texts that are ordered and are
            no dates.
    """
    if not filters:
        return None
    if not isinstance(filters, dict):
        raise FilterError(f"filters are a dictionary, not {filters!r}")
    if "field" in filters:
        return _comparison(filters)
    for key in ("operator", "conditions"):
        if key not in filters:
            raise FilterError(f"'{key}' key missing in {filters}")
    name, conditions = filters["operator"], filters["conditions"]
    parts = tuple(_some(condition) for condition in conditions)
    if name == "AND":
        return And(parts)
    if name == "OR":
        return Or(parts)
    if name == "NOT":
        return Not(And(parts))
    raise FilterError(f"Unknown logical operator {name!r}; there are AND, OR, NOT")


def _asked_ids(filters: Any) -> list[str] | None:
    """Return the ids that filters ask for, where they ask for these and nothing else."""
    if not isinstance(filters, dict) or filters.get("field") != "id" or "value" not in filters:
        return None
    operator, value = filters.get("operator"), filters["value"]
    if operator == "==" and isinstance(value, str):
        return [value]
    return value if operator == "in" and isinstance(value, list) else None


def _some(filters: dict[str, Any]) -> Filter:
    where = to_filter(filters)
    if where is None:
        raise FilterError("empty filters where some are needed; delete_all_documents() removes everything")
    return where


def _comparison(condition: dict[str, Any]) -> Filter:
    for name in ("operator", "value"):
        if name not in condition:
            raise FilterError(f"'{name}' key missing in {condition}")
    key, operator, value = _key(condition["field"]), condition["operator"], condition["value"]
    try:
        if operator in ("==", "!="):
            same = _equals(key, value)
            return same if operator == "==" else Not(same)
        if operator in ("in", "not in"):
            if not isinstance(value, list):
                raise FilterError(f"{operator!r} takes a list, not {value!r}")
            some = Or(tuple(_equals(key, element) for element in value)) if None in value else field(key).in_(value)
            return some if operator == "in" else Not(some)
        if operator in (">", ">=", "<", "<="):
            return _ordered(key, operator, value)
    except VectorError as error:
        raise FilterError(str(error)) from error
    raise FilterError(f"Unknown comparison operator {operator!r}; there are == != > >= < <= in 'not in'")


def _key(name: str) -> str:
    key = name.removeprefix("meta.")
    attributes = ("id", "content", "blob", "score", "embedding", "sparse_embedding")
    if "." in key or (key == name and name in (*attributes, "meta")):
        raise FilterError(f"dizuo filters by top-level keys of meta, as in 'meta.lang', and not by {name!r}")
    return key


def _equals(key: str, value: Any) -> Filter:
    return (field(key) == None) | ~field(key).exists() if value is None else field(key) == value  # noqa: E711


def _ordered(key: str, operator: str, value: Any) -> Filter:
    if value is None:
        return Or(())  # as in Haystack: nothing is more or less than None
    if isinstance(value, datetime):
        value = value.isoformat()
    elif isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            raise FilterError(f"{value!r} is no ISO date, and other texts have no order in Haystack") from None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        raise FilterError(f"{operator!r} takes a number or an ISO date, not {value!r}")
    operand = field(key)
    tests: dict[str, Filter] = {
        ">": operand > value,
        ">=": operand >= value,
        "<": operand < value,
        "<=": operand <= value,
    }
    return tests[operator]


# ---- documents and records


def _point(document: Document, vector: list[float]) -> Point:
    metadata = dict(document.meta)
    if OWN in metadata:
        raise ValueError(f"the meta of document {document.id} has the key {OWN!r}, which dizuo uses itself")
    own: dict[str, Any] = {}
    if document.blob is not None:
        data = base64.b64encode(document.blob.data).decode("ascii")
        own["blob"] = {"data": data, "meta": document.blob.meta, "mime_type": document.blob.mime_type}
    if document.sparse_embedding is not None:
        own["sparse_embedding"] = document.sparse_embedding.to_dict()
    if own:
        metadata[OWN] = own
    return Point(document.id, vector, metadata, document.content)


def _document(id: str, content: str | None, metadata: Any, vector: Any = None, score: float | None = None) -> Document:
    meta = dict(metadata)
    own = meta.pop(OWN, {})
    blob, sparse = own.get("blob"), own.get("sparse_embedding")
    return Document(
        id=id,
        content=content,
        meta=meta,
        score=score,
        embedding=None if vector is None else vector.tolist(),
        blob=ByteStream(base64.b64decode(blob["data"]), blob["meta"], blob["mime_type"]) if blob else None,
        sparse_embedding=SparseEmbedding.from_dict(sparse) if sparse else None,
    )


def _answers(hits: Hits) -> list[Document]:
    return [_document(hit.id, hit.document, hit.metadata, hit.vector, hit.score) for hit in hits]
