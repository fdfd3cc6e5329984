"""A dizuo store as a LlamaIndex vector store: any of dizuo's databases, under a `VectorStoreIndex`.

    from dizuo.vectors.integrations.llamaindex import DizuoVectorStore

    store = DizuoVectorStore.from_url("lancedb://./index", dim=384)
    index = VectorStoreIndex(nodes, storage_context=StorageContext.from_defaults(vector_store=store))
    index.as_retriever(filters=MetadataFilters(filters=[MetadataFilter(key="lang", value="en")])).retrieve("leave")

A node's text is the record's document, its metadata the record's metadata, with what LlamaIndex itself adds to find the
node again (`_node_content`, `_node_type`, `ref_doc_id` and others, as in all of its stores) and `_node_id`.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from dizuo.errors import MissingPackage, VectorError
from dizuo.vectors import vector_store
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.filters.tree import And, Field, Filter, Not, Or, field
from dizuo.vectors.points import Hits, Point
from dizuo.vectors.writing.queries import check_keywords

try:
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
    from llama_index.core.schema import BaseNode, MetadataMode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        FilterCondition,
        FilterOperator,
        MetadataFilter,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError:
    raise MissingPackage("llama-index-core", purpose="LlamaIndex' stores", install="dizuo[llamaindex]") from None

__all__ = ["DizuoVectorStore", "to_filter"]

_KEYWORDS = {
    VectorStoreQueryMode.DEFAULT: ("exact",),
    VectorStoreQueryMode.HYBRID: ("exact",),
    VectorStoreQueryMode.MMR: ("exact", "mmr_prefetch_k", "mmr_prefetch_factor"),
}
"""What `query` takes beside the query, by its mode."""
NODE_ID = "_node_id"
"""Metadata key that holds the node's id, so that a query can be limited to some nodes."""


class DizuoVectorStore(BasePydanticVectorStore):
    """A collection of vectors in any of dizuo's databases, for LlamaIndex.

    Args:
        store: what `dizuo.connect` returned.

    Query modes: `default`, `hybrid` (vectors and BM25, fused by reciprocal rank), `text_search` (BM25 alone), `mmr`.
    Similarities are dizuo's scores: higher is nearer, always. `client` is the dizuo store.
    """

    stores_text: bool = True
    flat_metadata: bool = False
    _store: vector_store.VectorStore = PrivateAttr()

    def __init__(self, store: vector_store.VectorStore, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._store = store

    @classmethod
    def from_url(cls, url: str, **options: Any) -> DizuoVectorStore:
        """Return the collection at an address; `options` are those of `dizuo.connect`, `dim` for a new one."""
        return cls(connect(url, **options))

    @classmethod
    def class_name(cls) -> str:
        """Name under which LlamaIndex knows the class."""
        return "DizuoVectorStore"

    @property
    def client(self) -> vector_store.VectorStore:
        """The dizuo store."""
        return self._store

    # ---- writing

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Put nodes with embeddings into the store, replacing what has the same id; return their ids.

        `kwargs` are those of the store's `upsert`, as `wait=False`. Here and below, one that nobody reads is an error.
        """
        check_keywords("add", kwargs, ("wait", "errors", "watch"))
        self._store.upsert((_point(node) for node in nodes), **kwargs)
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """Remove all nodes of a document."""
        check_keywords("delete", kwargs, ())
        self._store.delete(where=field("ref_doc_id") == ref_doc_id)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """Remove the nodes that have one of these ids and match the filters; one of the two is needed."""
        check_keywords("delete_nodes", kwargs, ())
        where = to_filter(filters)
        if node_ids is None and where is None:
            raise VectorError("delete_nodes takes node ids or filters", hint="clear() removes all of the namespace")
        if where is None:
            self._store.delete(node_ids)
        else:
            self._store.delete(where=_both(node_ids, None, filters))

    def clear(self) -> None:
        """Remove all nodes of the namespace."""
        self._store.clear()

    # ---- reading

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Return the nodes that have one of these ids and match the filters, with their embeddings."""
        if node_ids is not None and to_filter(filters) is None:
            points = self._store.fetch(node_ids)
        else:
            points = list(self._store.points(_both(node_ids, None, filters)))
        return [_node(point.metadata, point.document, point.vector) for point in points]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nodes that a query asks for, best first; `kwargs` are those of `search`, as `exact=True`.

        Raises:
            VectorError: a mode or a filter that there is not here.
        """
        # An index over a store that keeps text asks with an empty list of node ids, and means any.
        where = _both(query.node_ids or None, query.doc_ids or None, query.filters)
        mode, k = query.mode, query.similarity_top_k
        check_keywords(f"the query mode {mode.value!r}", kwargs, _KEYWORDS.get(mode, ()))
        if mode == VectorStoreQueryMode.DEFAULT:
            return _result(self._store.search(_embedding(query), k, where=where, **kwargs))
        if mode == VectorStoreQueryMode.TEXT_SEARCH:
            return _result(self._store.words(query.query_str or "", k, where=where, **kwargs))
        if mode == VectorStoreQueryMode.HYBRID:
            if query.alpha is not None:
                warnings.warn("dizuo fuses by rank, which has no weight: alpha is not used", stacklevel=2)
            depth = max(query.sparse_top_k or 0, k, 50)
            most = query.hybrid_top_k or k
            return _result(
                self._store.hybrid(query.query_str or "", _embedding(query), most, where=where, depth=depth, **kwargs)
            )
        if mode == VectorStoreQueryMode.MMR:
            prefetch = kwargs.pop("mmr_prefetch_k", None) or int(kwargs.pop("mmr_prefetch_factor", 4) * k)
            hits = self._store.search(_embedding(query), prefetch, where=where, vectors=True, **kwargs)
            vectors = [hit.vector.tolist() for hit in hits if hit.vector is not None]
            scores, indices = get_top_k_mmr_embeddings(
                query.query_embedding, vectors, similarity_top_k=k, mmr_threshold=query.mmr_threshold
            )
            result = _result(Hits([hits[index] for index in indices]))
            result.similarities = scores
            return result
        raise VectorError(
            f"dizuo has no query mode {mode.value!r}", hint="there are default, hybrid, text_search and mmr"
        )

    # ---- the same, awaited: in threads, as all of dizuo

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Return `add` of these nodes."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """Remove all nodes of a document."""
        await asyncio.to_thread(self.delete, ref_doc_id, **kwargs)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """Remove nodes by ids and filters."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **kwargs)

    async def aclear(self) -> None:
        """Remove all nodes of the namespace."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Return nodes by ids and filters."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return what a query asks for."""
        return await asyncio.to_thread(self.query, query, **kwargs)


def to_filter(filters: MetadataFilters | None) -> Filter | None:
    """Return the dizuo filter that LlamaIndex' filters mean, nested to any depth.

    `!=` and `nin` are true where the key is missing. `not` is true where none of its filters match.

    Raises:
        VectorError: an operator that dizuo has not (`text_match`, which looks for text inside of text, and `is_empty`,
            which asks for empty lists).
    """
    if filters is None or not filters.filters:
        return None
    parts = tuple(_one(part) for part in filters.filters)
    condition = filters.condition or FilterCondition.AND
    if condition == FilterCondition.AND:
        return parts[0] if len(parts) == 1 else And(parts)
    return Or(parts) if condition == FilterCondition.OR else Not(Or(parts))


_TESTS: dict[FilterOperator, Callable[[Field, Any], Filter]] = {
    FilterOperator.EQ: lambda key, value: key == value,
    FilterOperator.NE: lambda key, value: key != value,
    FilterOperator.GT: lambda key, value: key > value,
    FilterOperator.GTE: lambda key, value: key >= value,
    FilterOperator.LT: lambda key, value: key < value,
    FilterOperator.LTE: lambda key, value: key <= value,
    FilterOperator.IN: lambda key, value: key.in_(_listed(value)),
    FilterOperator.NIN: lambda key, value: key.not_in(_listed(value)),
    FilterOperator.CONTAINS: lambda key, value: key.contains(value),
    FilterOperator.ANY: lambda key, value: Or(tuple(key.contains(element) for element in _listed(value))),
    FilterOperator.ALL: lambda key, value: And(tuple(key.contains(element) for element in _listed(value))),
}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _one(part: MetadataFilter | MetadataFilters) -> Filter:
    if isinstance(part, MetadataFilters):
        inner = to_filter(part)
        return And(()) if inner is None else inner
    if part.operator in _TESTS:
        return _TESTS[part.operator](field(part.key), part.value)
    raise VectorError(
        f"dizuo cannot filter {part.key!r} by {part.operator.value!r}",
        hint="== != < <= > >= in nin contains any all; for words in the text, the query modes hybrid and text_search",
    )


def _both(node_ids: list[str] | None, doc_ids: list[str] | None, filters: MetadataFilters | None) -> Filter | None:
    parts = [to_filter(filters)]
    if node_ids is not None:
        parts.append(field(NODE_ID).in_(node_ids))
    if doc_ids is not None:
        parts.append(field("ref_doc_id").in_(doc_ids))
    there = tuple(part for part in parts if part is not None)
    return there[0] if len(there) == 1 else And(there) if there else None


def _embedding(query: VectorStoreQuery) -> list[float]:
    if query.query_embedding is None:
        raise VectorError(f"the query mode {query.mode.value!r} needs a query embedding")
    embedding: list[float] = query.query_embedding
    return embedding


def _point(node: BaseNode) -> Point:
    metadata = node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    return Point(node.node_id, node.get_embedding(), {**metadata, NODE_ID: node.node_id}, text)


def _node(metadata: Any, document: str | None, vector: Any = None) -> BaseNode:
    node = metadata_dict_to_node(dict(metadata), text=document)
    if vector is not None:
        node.embedding = vector.tolist()
    return node


def _result(hits: Hits) -> VectorStoreQueryResult:
    return VectorStoreQueryResult(
        nodes=[_node(hit.metadata, hit.document) for hit in hits],
        similarities=[hit.score for hit in hits],
        ids=[hit.id for hit in hits],
    )
