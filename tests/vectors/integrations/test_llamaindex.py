"""LlamaIndex exports no tests of a vector store; this is its own index over one, with its filters and modes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.indices.vector_store.retrievers import VectorIndexRetriever
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from dizuo.errors import VectorError
from dizuo.vectors.integrations.llamaindex import DizuoVectorStore, to_filter


class ByLetters(BaseEmbedding):
    """Counts of a, b and c in the first word, and a little: nearness that a reader of the test can see."""

    def _get_query_embedding(self, query: str) -> list[float]:
        return [query.partition(" ")[0].count(letter) + 0.01 for letter in "abc"]

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_query_embedding(text)


def node(id: str, text: str, source: str, **metadata: Any) -> TextNode:
    relation = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    hidden = list(metadata)  # the embedding is of the text alone
    return TextNode(id_=id, text=text, metadata=metadata, relationships=relation, excluded_embed_metadata_keys=hidden)


@pytest.fixture
def store(address: str) -> Iterator[DizuoVectorStore]:
    store = DizuoVectorStore.from_url(address, dim=3, collection="llamaindex")
    yield store
    store.client.drop()
    store.client.close()


@pytest.fixture
def index(store: DizuoVectorStore) -> VectorStoreIndex:
    nodes = [
        node("1", "aaa 数据库检索", "x.md", lang="zh", year=2021, tags=["p", "q"]),
        node("2", "bbb weather", "x.md", lang="en", year=2019, tags=["p"]),
        node("3", "ccc database", "y.md", lang="en", year=2023),
        node("4", "aab report", "z.md"),
    ]
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(nodes, storage_context=context, embed_model=ByLetters())


def found(index: VectorStoreIndex, text: str, **more: Any) -> list[str]:
    retriever = index.as_retriever(**{"similarity_top_k": 4, **more})
    return [one.node.node_id for one in retriever.retrieve(text)]


def one(key: str, operator: str, value: Any) -> MetadataFilters:
    return MetadataFilters(filters=[MetadataFilter(key=key, operator=FilterOperator(operator), value=value)])


def test_nodes_come_back_whole_and_with_scores(index: VectorStoreIndex) -> None:
    best = index.as_retriever(similarity_top_k=1).retrieve("aa")[0]
    assert best.score == pytest.approx(1.0, abs=1e-4)
    assert (best.node.node_id, best.node.get_content(), best.node.ref_doc_id) == ("1", "aaa 数据库检索", "x.md")
    assert best.node.metadata == {"lang": "zh", "year": 2021, "tags": ["p", "q"]}


def test_an_index_is_opened_again_from_the_store_alone(index: VectorStoreIndex, store: DizuoVectorStore) -> None:
    again = VectorStoreIndex.from_vector_store(DizuoVectorStore(store.client), embed_model=ByLetters())
    assert found(again, "ccc", similarity_top_k=1) == ["3"]


def test_every_filter_that_dizuo_has(index: VectorStoreIndex) -> None:
    def by(*arguments: Any) -> set[str]:
        return set(found(index, "abc", filters=one(*arguments)))

    assert by("lang", "==", "en") == {"2", "3"}
    assert by("lang", "!=", "en") == by("lang", "nin", ["en"]) == {"1", "4"}
    assert by("year", ">", 2021) == by("year", ">=", 2022) == {"3"}
    assert by("year", "<", 2021) == by("year", "<=", 2019) == {"2"}
    assert by("year", "in", [2019, 2021]) == {"1", "2"}
    assert by("tags", "contains", "q") == by("tags", "all", ["p", "q"]) == {"1"}
    assert by("tags", "any", ["q", "p"]) == {"1", "2"}


def test_filters_nest_under_and_or_and_not(index: VectorStoreIndex) -> None:
    english, recent = one("lang", "==", "en").filters[0], one("year", ">=", 2020).filters[0]

    def by(condition: FilterCondition, *parts: Any) -> set[str]:
        return set(found(index, "abc", filters=MetadataFilters(filters=list(parts), condition=condition)))

    assert by(FilterCondition.AND, english, recent) == {"3"}
    assert by(FilterCondition.OR, english, recent) == {"1", "2", "3"}
    assert by(FilterCondition.NOT, english, recent) == {"4"}
    inner = MetadataFilters(filters=[english, recent], condition=FilterCondition.NOT)
    assert by(FilterCondition.OR, inner, recent) == {"1", "3", "4"}
    assert set(found(index, "abc", filters=MetadataFilters(filters=[]))) == {"1", "2", "3", "4"}


@pytest.mark.parametrize("operator", ["text_match", "text_match_insensitive", "is_empty"])
def test_a_filter_that_dizuo_lacks_is_refused_and_never_ignored(operator: str) -> None:
    with pytest.raises(VectorError, match=f"cannot filter 'lang' by '{operator}'"):
        to_filter(one("lang", operator, "e"))


def test_queries_are_limited_to_documents_and_nodes(index: VectorStoreIndex) -> None:
    assert set(found(index, "abc", doc_ids=["x.md"])) == {"1", "2"}
    retriever = VectorIndexRetriever(index, similarity_top_k=4, node_ids=["1", "4"])
    assert {one.node.node_id for one in retriever.retrieve("abc")} == {"1", "4"}
    retriever = VectorIndexRetriever(index, similarity_top_k=4, node_ids=["1", "4"], doc_ids=["x.md"])
    assert {one.node.node_id for one in retriever.retrieve("abc")} == {"1"}


def test_words_hybrid_and_marginal_relevance(index: VectorStoreIndex, store: DizuoVectorStore) -> None:
    assert found(index, "检索", vector_store_query_mode="text_search") == ["1"]
    assert found(index, "database", vector_store_query_mode="hybrid", hybrid_top_k=1) == ["3"]
    assert found(index, "aac", vector_store_query_mode="mmr", similarity_top_k=2) == ["1", "3"]
    with pytest.warns(UserWarning, match="alpha is not used"):
        found(index, "database", vector_store_query_mode="hybrid", alpha=0.5)
    with pytest.raises(VectorError, match="no query mode 'svm'"):
        found(index, "a", vector_store_query_mode="svm")
    with pytest.raises(VectorError, match="'default' needs a query embedding"):
        store.query(VectorStoreQuery(query_str="a", mode=VectorStoreQueryMode.DEFAULT))


def test_a_document_goes_with_all_its_nodes_and_comes_again(index: VectorStoreIndex, store: DizuoVectorStore) -> None:
    index.delete_ref_doc("x.md")
    assert set(found(index, "abc")) == {"3", "4"}
    index.insert_nodes([node("3", "aaaa", "y.md", lang="en"), node("5", "a", "w.md")])
    assert store.client.count() == 3
    assert found(index, "a", filters=one("lang", "==", "en")) == ["3"]


def test_nodes_are_fetched_and_removed_by_id_and_filter(index: VectorStoreIndex, store: DizuoVectorStore) -> None:
    nodes = store.get_nodes(["2", "1"])
    assert [(one.node_id, one.embedding is not None) for one in nodes] == [("2", True), ("1", True)]
    assert [one.node_id for one in store.get_nodes(["1", "2"], one("lang", "==", "en"))] == ["2"]
    assert {one.node_id for one in store.get_nodes(filters=one("lang", "==", "en"))} == {"2", "3"}
    store.delete_nodes(["1", "2"], one("lang", "==", "en"))
    store.delete_nodes(["4"])
    assert {one.node_id for one in store.get_nodes()} == {"1", "3"}
    with pytest.raises(VectorError, match="takes node ids or filters"):
        store.delete_nodes()
    store.clear()
    assert store.client.count() == 0


def test_nodes_without_embeddings_are_refused(store: DizuoVectorStore) -> None:
    with pytest.raises(ValueError, match="embedding not set"):
        store.add([TextNode(text="a")])


def test_everything_is_awaited_without_holding_the_loop(store: DizuoVectorStore) -> None:
    async def all_of_it() -> tuple[list[str], list[str], int]:
        nodes = [TextNode(id_=str(n), text="a" * n, embedding=[1.0, n, 0.0]) for n in range(4)]
        await store.async_add(nodes)
        await store.adelete_nodes(["3"])
        answer = await store.aquery(VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0], similarity_top_k=2))
        held = [one.node_id for one in await store.aget_nodes(["1", "2", "3"])]
        await store.adelete("nobody")
        await store.aclear()
        return list(answer.ids or []), held, store.client.count()

    assert asyncio.run(all_of_it()) == (["0", "1"], ["1", "2"], 0)
