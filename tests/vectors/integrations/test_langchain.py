"""LangChain's own tests of a vector store, and what they do not ask: filters, scores, hybrid search, misuse."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_core")
pytest.importorskip("langchain_tests")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_tests.integration_tests import VectorStoreIntegrationTests

from dizuo.errors import VectorError
from dizuo.vectors import Refused, field
from dizuo.vectors.integrations.langchain import DizuoVectorStore, to_filter


class ByLetters(Embeddings):
    """Counts of a, b and c in the first word, and a little: nearness that a reader of the test can see."""

    def embed_query(self, text: str) -> list[float]:
        return [text.partition(" ")[0].count(letter) + 0.01 for letter in "abc"]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


@pytest.mark.anyio
class TestLangChainsOwn(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, address: str) -> Iterator[DizuoVectorStore]:
        store = DizuoVectorStore.from_url(address, self.get_embeddings(), collection="langchain")
        yield store
        store.store.drop()
        store.store.close()


@pytest.fixture
def store(address: str) -> Iterator[DizuoVectorStore]:
    texts = ["aaa 数据库检索", "bbb weather", "ccc database", "aab report"]
    data: list[dict[str, Any]] = [
        {"lang": "zh", "year": 2021},
        {"lang": "en", "year": 2019, "tags": ["x"]},
        {"lang": "en", "year": 2023},
        {},
    ]
    store = DizuoVectorStore.from_texts(
        texts, ByLetters(), data, ids=["1", "2", "3", "4"], url=address, collection="langchain-more"
    )
    yield store
    store.store.drop()
    store.store.close()


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


def test_filters_are_dictionaries_texts_or_our_own(store: DizuoVectorStore) -> None:
    def found(filter: Any) -> set[str | None]:
        return set(ids(store.similarity_search("a", k=4, filter=filter)))

    assert found(None) == found({}) == {"1", "2", "3", "4"}
    assert found({"lang": "en"}) == found('lang == "en"') == found(field("lang") == "en") == {"2", "3"}
    assert found({"lang": "en", "year": {"$gte": 2020, "$lt": 2024}}) == {"3"}
    assert found({"$or": [{"lang": "zh"}, {"year": 2019}]}) == {"1", "2"}
    assert found({"$not": {"lang": "en"}}) == found({"lang": {"$ne": "en"}}) == {"1", "4"}
    assert found({"year": {"$in": [2019, 2021]}}) == found({"$and": [{"year": {"$lte": 2021}}]}) == {"1", "2"}
    assert found({"lang": {"$exists": False}}) == {"4"}
    assert found({"lang": {"$nin": ["zh"]}}) == {"2", "3", "4"}
    assert found({"tags": {"$contains": "x"}}) == {"2"}
    assert found({"lang": {"$startswith": "z"}}) == {"1"}
    assert found({"year": {"$gt": 2021}}) == found({"year": {"$eq": 2023}}) == {"3"}
    assert found({"$or": [{}, {"lang": "zh"}]}) == {"1", "2", "3", "4"}
    assert found({"$or": []}) == found({"$not": {}}) == set()


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        ({"year": {"$gtt": 1}}, r"no operator '\$gtt' \(did you mean '\$gte?'\?\)"),
        ({"$nor": []}, r"no operator '\$nor' here \(did you mean '\$n?or?t?'\?\)"),
        ({"$and": {}}, "combines a list of filters"),
        ({"year": {}}, "is an empty dictionary"),
        ({"year": [1]}, "is compared with a list"),
        (lambda document: True, "a filter is a dictionary, a text or a dizuo filter"),
    ],
)
def test_a_filter_that_is_none_is_an_error(filter: Any, message: str) -> None:
    with pytest.raises(VectorError, match=message):
        to_filter(filter)


def test_scores_are_cosines_and_relevance_is_between_0_and_1(store: DizuoVectorStore) -> None:
    found = store.similarity_search_with_score("aa", k=2)
    assert [document.id for document, _ in found] == ["1", "4"]
    assert found[0][1] == pytest.approx(1.0, abs=1e-4)
    relevance = store.similarity_search_with_relevance_scores("aa", k=4)
    assert all(0 <= score <= 1 for _, score in relevance)
    retriever = store.as_retriever(search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.8})
    assert ids(retriever.invoke("aa")) == ["1", "4"]
    retriever = store.as_retriever(search_kwargs={"k": 1, "filter": {"lang": "en"}, "exact": True})
    assert ids(retriever.invoke("ccc")) == ["3"]


def test_relevance_of_other_metrics() -> None:
    far = DizuoVectorStore.from_url("memory://", ByLetters(), metric="l2", collection="langchain-l2")
    far.add_texts(["a", "aaaa"], ids=["near", "far"])
    assert [score for _, score in far.similarity_search_with_relevance_scores("a")] == pytest.approx([1.0, 0.25])
    dot = DizuoVectorStore.from_url("memory://", ByLetters(), metric="dot", collection="langchain-dot")
    dot.add_texts(["a"])
    with pytest.raises(VectorError, match="an inner product has no bound"):
        dot.similarity_search_with_relevance_scores("a")


def test_marginal_relevance_prefers_what_is_unlike_the_first(store: DizuoVectorStore) -> None:
    assert ids(store.max_marginal_relevance_search("aac", k=2, fetch_k=4, lambda_mult=1.0)) == ["1", "4"]
    assert ids(store.max_marginal_relevance_search("aac", k=2, fetch_k=4, lambda_mult=0.3)) == ["1", "3"]


def test_hybrid_search_finds_by_words_too(store: DizuoVectorStore) -> None:
    document, score = store.hybrid_search_with_score("检索", k=1)[0]
    assert document.page_content == "aaa 数据库检索"
    assert score > 1 / 61
    assert ids(store.hybrid_search("database", k=4, filter={"lang": "en"}))[0] == "3"


def test_ids_of_documents_are_kept_and_made_where_missing(store: DizuoVectorStore) -> None:
    given = store.add_documents([Document(id="x", page_content="a"), Document(page_content="b", metadata={"n": 1.0})])
    assert given[0] == "x"
    assert len(given[1]) == 36
    found = store.get_by_ids([given[1], "nobody", "x"])
    assert ids(found) == [given[1], "x"]
    assert found[0].metadata == {"n": 1.0}


def test_lists_of_several_lengths_are_refused_before_anything_is_embedded(store: DizuoVectorStore) -> None:
    for more in ({"ids": ["only"]}, {"metadatas": [{}, {}, {}]}):
        with pytest.raises(VectorError, match=r"there are \d \w+ and 2 texts"):
            store.add_texts(["a", "b"], **more)
        with pytest.raises(VectorError, match="there are"):
            store.add_texts(iter(["a", "b"]), **{name: iter(items) for name, items in more.items()})
    assert store.store.count() == 4


def test_what_nobody_can_hold_is_refused_by_id(store: DizuoVectorStore) -> None:
    with pytest.raises(Refused, match=r"bad.*complex"):
        store.add_texts(["a"], [{"x": 1j}], ids=["bad"])


def test_delete_by_filter_and_everything(store: DizuoVectorStore) -> None:
    assert store.delete(filter={"lang": "en"}) is True
    assert store.store.count() == 2
    store.delete([])
    assert store.store.count() == 2
    store.delete()
    assert store.store.count() == 0


def test_a_collection_is_opened_again_by_others(address: str) -> None:
    embedding = DeterministicFakeEmbedding(size=6)
    first = DizuoVectorStore.from_url(address, embedding, collection="langchain-again", metric="l2")
    first.add_texts(["one"], [{"n": 2**53 + 1}], ids=["1"])
    again = DizuoVectorStore(first.store, embedding)
    assert again.get_by_ids(["1"])[0].metadata == {"n": 2**53 + 1}
    assert again.embeddings is embedding
    point = first.store.get("1")
    assert point is not None
    assert point.document == "one"
    first.store.drop()
    first.store.close()
