"""A dizuo store as a LangChain vector store: any of dizuo's databases, with filters that mean the same on each.

    from dizuo.vectors.integrations.langchain import DizuoVectorStore

    store = DizuoVectorStore.from_url("lancedb://./index", embeddings)
    store.add_documents(documents)
    store.similarity_search("how long is the leave", k=4, filter={"lang": "en", "year": {"$gte": 2020}})

It passes `langchain_tests.integration_tests.VectorStoreIntegrationTests`, and `langchain_core.indexing.index` keeps it
in step with a record manager, both synchronous and asynchronous. A document's text is the record's document and its
metadata the record's metadata, unchanged: what LangChain wrote, every other part of dizuo reads, and the other way
round. A keyword argument that nobody reads is an error, and not left out in silence.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import Any

import numpy as np

from dizuo.errors import MissingPackage, VectorError, did_you_mean
from dizuo.vectors import vector_store
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.filters.parsing import parse
from dizuo.vectors.filters.tree import And, Field, Filter, Not, Or, field
from dizuo.vectors.points import Hit, Point
from dizuo.vectors.writing.queries import check_keywords

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
    from langchain_core.vectorstores.utils import maximal_marginal_relevance
except ImportError:
    raise MissingPackage("langchain-core", purpose="LangChain's vector stores", install="dizuo[langchain]") from None

__all__ = ["DizuoVectorStore", "to_filter"]

BATCH = 256
"""Texts that are embedded together."""


class DizuoVectorStore(VectorStore):
    """A collection of vectors in any of dizuo's databases, for LangChain.

    Args:
        store: what `dizuo.connect` returned.
        embedding: makes vectors of texts; their length is the store's `dim`.

    Wherever a method takes `filter`, that is a dizuo filter (`field("year") >= 2020`), its text form
    (`'year >= 2020'`), or a dictionary in the form most LangChain stores take, see `to_filter`. Scores are dizuo's:
    higher is nearer, always.
    """

    def __init__(self, store: vector_store.VectorStore, embedding: Embeddings) -> None:
        self.store = store
        self.embedding = embedding

    @classmethod
    def from_url(cls, url: str, embedding: Embeddings, **options: Any) -> DizuoVectorStore:
        """Return the collection at an address, made where there is none.

        Args:
            url: as `dizuo.connect` takes it.
            embedding: makes vectors; where no `dim` is given, one short text is embedded to learn their length.
            options: of `dizuo.connect`, as `collection`, `namespace`, `metric`, and the store's own.
        """
        dim = options.pop("dim", None) or len(embedding.embed_query("dim"))
        return cls(connect(url, dim=dim, **options), embedding)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        url: str = "memory://",
        batch_size: int = BATCH,
        **options: Any,
    ) -> DizuoVectorStore:
        """Return the collection at `url` with these texts added; `options` are those of `dizuo.connect`."""
        store = cls.from_url(url, embedding, **options)
        store.add_texts(texts, metadatas, ids=ids, batch_size=batch_size)
        return store

    @property
    def embeddings(self) -> Embeddings:
        """What makes vectors of texts."""
        return self.embedding

    # ---- writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: Iterable[Mapping[str, Any]] | None = None,
        *,
        ids: Iterable[str | None] | None = None,
        batch_size: int = BATCH,
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and put them into the store, replacing what has the same id; return the ids in order.

        Args:
            texts: any iterable; a few batches are in memory at a time.
            metadatas: JSON values under text keys, one mapping per text.
            ids: one per text; where it is None a new one is made.
            batch_size: texts that are embedded together.
            kwargs: of the store's `upsert`, as `wait=False`.

        Raises:
            VectorError: there are more or fewer metadatas or ids than texts, or an argument that nobody reads.
            Refused: metadata that no store can give back as it was, named by its id.
        """
        check_keywords("add_texts", kwargs, ("wait", "errors", "watch"))
        if type(batch_size) is not int or batch_size < 1:
            raise VectorError(f"batch_size is {batch_size!r}, and it is a number of texts")
        written: list[str] = []
        texts = _sized(texts, metadatas=metadatas, ids=ids)

        def points() -> Iterator[Point]:
            for part in _parts(_rows(texts, metadatas, ids), batch_size):
                vectors = self.embedding.embed_documents([text for text, _, _ in part])
                for (text, metadata, id), vector in zip(part, vectors, strict=True):
                    written.append(id or str(uuid.uuid4()))
                    yield Point(written[-1], vector, metadata, text)

        self.store.upsert(points(), **kwargs)
        return written

    def delete(self, ids: list[str] | None = None, *, filter: Any = None, **kwargs: Any) -> bool:
        """Remove documents by ids or by a filter; as in LangChain, all of the namespace where neither is given.

        Raises:
            VectorError: there is an argument that nobody reads.
        """
        check_keywords("delete", kwargs, ())
        if ids is None and filter is None:
            self.store.clear()
        else:
            self.store.delete(ids, where=to_filter(filter))
        return True

    # ---- reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the documents with these ids, in this order; those that are not there are left out."""
        return [Document(id=p.id, page_content=p.document or "", metadata=p.metadata) for p in self.store.fetch(ids)]

    def similarity_search(self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any) -> list[Document]:
        """Return the k documents nearest to a text, best first; `kwargs` are those of `search`, as `exact=True`."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter=filter, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the k documents nearest to a text with their scores: the cosine, the inner product, or −distance."""
        vector = self.embedding.embed_query(query)
        return self.similarity_search_with_score_by_vector(vector, k, filter=filter, **kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[Document]:
        """Return the k documents nearest to a vector, best first."""
        scored = self.similarity_search_with_score_by_vector(embedding, k, filter=filter, **kwargs)
        return [document for document, _ in scored]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the k documents nearest to a vector with their scores."""
        check_keywords("a search", kwargs, ("exact",))
        hits = self.store.search(embedding, k, where=to_filter(filter), **kwargs)
        return [(_document(hit), hit.score) for hit in hits]

    def hybrid_search_with_score(
        self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the k best of a vector search and BM25 together, fused by reciprocal rank, with the fused scores."""
        check_keywords("a hybrid search", kwargs, ("exact", "depth"))
        vector = self.embedding.embed_query(query)
        hits = self.store.hybrid(query, vector, k, where=to_filter(filter), **kwargs)
        return [(_document(hit), hit.score) for hit in hits]

    def hybrid_search(self, query: str, k: int = 4, *, filter: Any = None, **kwargs: Any) -> list[Document]:
        """Return the k best documents of a vector search and BM25 together."""
        return [document for document, _ in self.hybrid_search_with_score(query, k, filter=filter, **kwargs)]

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return k of the `fetch_k` nearest documents that are near the text and unlike each other.

        `lambda_mult` is 1 for nearness alone and 0 for variety alone.
        """
        vector = self.embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, filter=filter, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        *,
        filter: Any = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return k of the `fetch_k` nearest documents that are near the vector and unlike each other."""
        check_keywords("a search", kwargs, ("exact",))
        hits = self.store.search(embedding, max(k, fetch_k), where=to_filter(filter), vectors=True, **kwargs)
        vectors = [hit.vector for hit in hits]
        chosen = maximal_marginal_relevance(np.asarray(embedding, np.float32), vectors, lambda_mult, k)
        return [_document(hits[index]) for index in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Scores in [0, 1]: the cosine (0 where it is negative), 1/(1 + distance); an inner product has no bound."""
        if self.store.metric == "cosine":
            return lambda score: min(1.0, max(0.0, score))
        if self.store.metric == "l2":
            return lambda score: 1 / (1 - score)
        raise VectorError("an inner product has no bound, so it makes no relevance between 0 and 1",
                          hint="use similarity_search_with_score, or a collection of metric='cosine'")  # fmt: skip


_TESTS: dict[str, Callable[[Field, Any], Filter]] = {
    "$eq": lambda key, value: key == value,
    "$ne": lambda key, value: key != value,
    "$lt": lambda key, value: key < value,
    "$lte": lambda key, value: key <= value,
    "$gt": lambda key, value: key > value,
    "$gte": lambda key, value: key >= value,
    "$in": lambda key, value: key.in_(value),
    "$nin": lambda key, value: key.not_in(value),
    "$exists": lambda key, value: key.exists() if value else ~key.exists(),
    "$contains": lambda key, value: key.contains(value),
    "$startswith": lambda key, value: key.startswith(value),
}


def to_filter(given: Any) -> Filter | None:
    """Return the filter that a LangChain user means.

    Args:
        given: a dizuo filter, its text form, None, or a dictionary: `{"lang": "zh", "year": {"$gte": 2020}}` asks
            for all of its keys; `$eq $ne $lt $lte $gt $gte $in $nin $exists $contains $startswith` test a key,
            `$and`, `$or` and `$not` combine.

    Raises:
        VectorError: it is none of these, or has an operator that there is not. Nothing is ever left out in silence.
    """
    if given is None or isinstance(given, Filter):
        return given
    if isinstance(given, str):
        return parse(given)
    if not isinstance(given, Mapping):
        raise VectorError(f"a filter is a dictionary, a text or a dizuo filter, not {given!r}")
    parts: list[Filter] = []
    for key, value in given.items():
        if key in ("$and", "$or"):
            if not isinstance(value, list | tuple):
                raise VectorError(f"{key} combines a list of filters, not {value!r}")
            inner = tuple(_whole(operand) for operand in value)
            parts.append(And(inner) if key == "$and" else Or(inner))
        elif key == "$not":
            parts.append(Not(_whole(value)))
        elif str(key).startswith("$"):
            known = ["$and", "$or", "$not", *_TESTS]
            raise VectorError(f"filters have no operator {key!r} here{did_you_mean(str(key), known)}")
        else:
            parts += _tests(field(key), value)
    return parts[0] if len(parts) == 1 else And(tuple(parts)) if parts else None


def _whole(given: Any) -> Filter:
    where = to_filter(given)
    return And(()) if where is None else where


def _tests(key: Field, value: Any) -> Iterator[Filter]:
    if not isinstance(value, Mapping):
        yield key == value
        return
    if not value:
        raise VectorError(f"the filter on {key.key!r} is an empty dictionary", hint="a value, or {'$gte': 2020}")
    for name, operand in value.items():
        if name not in _TESTS:
            raise VectorError(
                f"the filter on {key.key!r} has no operator {name!r}{did_you_mean(str(name), _TESTS)}",
                hint=f"there are {', '.join(_TESTS)}",
            )
        yield _TESTS[name](key, operand)


def _document(hit: Hit) -> Document:
    return Document(id=hit.id, page_content=hit.document or "", metadata=hit.metadata)


_END = object()


def _sized(texts: Iterable[str], **others: Iterable[Any] | None) -> Iterable[str]:
    """Return the texts; where lengths are known and differ, nothing is embedded at all."""
    for noun, items in others.items():
        if isinstance(items, Sequence) and isinstance(texts, Sequence) and len(items) != len(texts):
            raise VectorError(
                f"there are {len(items):,} {noun} and {len(texts):,} texts", hint=f"give one of the {noun} per text"
            )
    return texts


def _rows(
    texts: Iterable[str], metadatas: Iterable[Mapping[str, Any]] | None, ids: Iterable[str | None] | None
) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Yield text, metadata and id together; lists of several lengths are an error and not cut."""
    endless = {"metadatas": metadatas is None, "ids": ids is None}
    data = repeat({}) if metadatas is None else chain(metadatas, repeat(_END))
    names = repeat(None) if ids is None else chain(ids, repeat(_END))
    count = 0
    for text in texts:
        metadata, id = next(data), next(names)
        for noun, value in (("metadatas", metadata), ("ids", id)):
            if value is _END:
                raise VectorError(f"there are {count:,} {noun} and more texts", hint=f"give one of the {noun} per text")
        yield text, metadata or {}, id  # type: ignore[misc]
        count += 1
    for noun, rest in (("metadatas", data), ("ids", names)):
        if not endless[noun] and next(rest) is not _END:
            raise VectorError(
                f"there are more {noun} than the {count:,} texts", hint=f"give one of the {noun} per text"
            )


def _parts(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while part := list(islice(items, size)):
        yield part
