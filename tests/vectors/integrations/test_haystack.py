"""Haystack's own tests of a document store, and what they do not ask: retrieval, pipelines, places, misuse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("haystack")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing.document_store import CountDocumentsByFilterTest, DocumentStoreBaseExtendedTests
from haystack.testing.document_store_async import (
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
)
from haystack.utils.auth import Secret

from dizuo.errors import VectorError
from dizuo.vectors.integrations.haystack import (
    DizuoDocumentStore,
    DizuoEmbeddingRetriever,
    DizuoHybridRetriever,
    to_filter,
)


def opened(address: str, dim: int, **more: Any) -> Iterator[DizuoDocumentStore]:
    store = DizuoDocumentStore(address, embedding_dim=dim, collection="haystack", **more)
    yield store
    store.store.drop()
    store.store.close()


class _AsASet:
    """Documents come in no order, and embeddings as float32; everything else is compared as Haystack does."""

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        def plain(documents: list[Document]) -> list[dict[str, Any]]:
            out = [document.to_dict(flatten=False) for document in documents]
            for one in out:
                if one["embedding"] is not None:
                    one["embedding"] = np.asarray(one["embedding"], np.float32).tolist()
            return sorted(out, key=lambda one: one["id"])

        assert plain(received) == plain(expected)


class TestHaystacksOwn(
    _AsASet,
    DocumentStoreBaseExtendedTests,
    CountDocumentsByFilterTest,
    CountDocumentsAsyncTest,
    CountDocumentsByFilterAsyncTest,
    DeleteAllAsyncTest,
    DeleteByFilterAsyncTest,
    DeleteDocumentsAsyncTest,
    FilterDocumentsAsyncTest,
    UpdateByFilterAsyncTest,
    WriteDocumentsAsyncTest,
):
    @pytest.fixture
    def document_store(self, address: str) -> Iterator[DizuoDocumentStore]:
        yield from opened(address, 768)

    # Which policy NONE is, the suite leaves to the store and asks for these two to be overridden.
    def test_write_documents(self, document_store: DizuoDocumentStore) -> None:
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([document])
        self.assert_documents_are_equal(document_store.filter_documents(), [document])

    @pytest.mark.asyncio
    async def test_write_documents_async(self, document_store: DizuoDocumentStore) -> None:
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


@pytest.fixture
def store(address: str) -> Iterator[DizuoDocumentStore]:
    for store in opened(address, 3):
        store.write_documents(
            [
                Document(id="a", content="数据库检索", meta={"lang": "zh", "n": 1}, embedding=[1.0, 0.0, 0.0]),
                Document(id="b", content="weather report", meta={"lang": "en"}, embedding=[0.8, 0.6, 0.0]),
                Document(id="c", content="a database", meta={"lang": "en", "n": None}, embedding=[0.0, 0.0, 1.0]),
                Document(id="d", content="no embedding", meta={"lang": "en"}),
            ]
        )
        yield store


def test_retrieval_brings_scores_and_never_a_document_without_an_embedding(store: DizuoDocumentStore) -> None:
    found = store.embedding_retrieval([1.0, 0.0, 0.0], top_k=10)
    assert [(one.id, pytest.approx(one.score, abs=1e-6)) for one in found] == [("a", 1.0), ("b", 0.8), ("c", 0.0)]
    assert found[0].embedding is None
    english = {"field": "meta.lang", "operator": "==", "value": "en"}
    found = store.embedding_retrieval([1.0, 0.0, 0.0], filters=english, top_k=1, exact=True, return_embedding=True)
    assert [one.id for one in found] == ["b"]
    assert found[0].embedding == pytest.approx([0.8, 0.6, 0.0])
    assert [one.id for one in store.hybrid_retrieval("数据库", [0.0, 0.0, 1.0], top_k=2)] == ["a", "c"]


def test_a_document_changes_places_when_it_gets_or_loses_its_embedding(store: DizuoDocumentStore) -> None:
    changed = [Document(id="d", content="now", embedding=[0.0, 1.0, 0.0]), Document(id="a", content="bare")]
    assert store.write_documents(changed, DuplicatePolicy.OVERWRITE) == 2
    assert store.count_documents() == 4
    assert [one.id for one in store.embedding_retrieval([1.0, 1.0, 0.0])] == ["b", "d", "c"]
    _AsASet.assert_documents_are_equal([one for one in store.filter_documents() if one.id in "ad"], changed)


def test_policies_within_one_call(store: DizuoDocumentStore) -> None:
    twice = [Document(id="n", content="first"), Document(id="n", content="last")]
    for policy in (DuplicatePolicy.NONE, DuplicatePolicy.FAIL):
        with pytest.raises(DuplicateDocumentError, match="there already: n"):
            store.write_documents(twice, policy)
    with pytest.raises(DuplicateDocumentError, match="there already: a, d"):
        store.write_documents([Document(id="e"), Document(id="d"), Document(id="a")], DuplicatePolicy.FAIL)
    assert store.count_documents() == 4
    assert store.write_documents([*twice, Document(id="a")], DuplicatePolicy.SKIP) == 1
    _AsASet.assert_documents_are_equal([one for one in store.filter_documents() if one.id == "n"], twice[:1])
    assert store.write_documents(twice, DuplicatePolicy.OVERWRITE) == 2
    _AsASet.assert_documents_are_equal([one for one in store.filter_documents() if one.id == "n"], twice[1:])


def test_blobs_and_sparse_embeddings_come_back(store: DizuoDocumentStore) -> None:
    document = Document(
        id="x",
        blob=ByteStream(bytes(range(256)), {"name": "x.bin"}, "application/x"),
        sparse_embedding=SparseEmbedding([1, 5], [0.5, 0.25]),
        meta={"n": 2**53 + 1},
        embedding=[0.0, 1.0, 0.0],
    )
    store.write_documents([document])
    where = {"field": "meta.n", "operator": "==", "value": 2**53 + 1}
    assert store.update_by_filter(where, {"seen": True}) == 1
    expected = dataclasses.replace(document, meta={"n": 2**53 + 1, "seen": True})
    _AsASet.assert_documents_are_equal(store.filter_documents(where), [expected])
    with pytest.raises(ValueError, match="has the key '_haystack'"):
        store.write_documents([Document(id="y", meta={"_haystack": 1})])


def test_an_update_that_decides_the_filter_changes_each_document_once(store: DizuoDocumentStore) -> None:
    where = {"field": "meta.lang", "operator": "==", "value": "en"}
    assert store.update_by_filter(where, {"lang": "de"}) == 3
    assert store.count_documents_by_filter(where) == 0
    with pytest.raises(FilterError, match="empty filters"):
        store.delete_by_filter({})


def test_none_is_missing_or_null(store: DizuoDocumentStore) -> None:
    def found(operator: str, value: Any) -> set[str]:
        return {one.id for one in store.filter_documents({"field": "n", "operator": operator, "value": value})}

    assert found("==", None) == found("in", [None]) == {"b", "c", "d"}
    assert found("!=", None) == found("not in", [None, 7]) == {"a"}
    assert found("in", [None, 1]) == {"a", "b", "c", "d"}
    assert found("in", []) == set()


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"field": "meta.a.b", "operator": "==", "value": 1}, "top-level keys of meta"),
        ({"field": "content", "operator": "==", "value": "x"}, "not by 'content'"),
        ({"field": "meta.a", "operator": "like", "value": "x"}, "Unknown comparison operator 'like'"),
        ({"operator": "XOR", "conditions": []}, "Unknown logical operator 'XOR'"),
        ({"field": "meta.a", "operator": ">", "value": True}, "takes a number or an ISO date"),
        ({"field": "meta.a", "operator": "==", "value": [1]}, "is compared with a list"),
        ([1], "filters are a dictionary"),
    ],
)
def test_a_filter_that_is_none_is_haystacks_error(filters: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        to_filter(filters)


def test_a_pipeline_is_saved_loaded_and_run(store: DizuoDocumentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = Pipeline()
    english = {"field": "meta.lang", "operator": "==", "value": "en"}
    pipeline.add_component("dense", DizuoEmbeddingRetriever(store, filters=english, top_k=2))
    pipeline.add_component("hybrid", DizuoHybridRetriever(store, top_k=1, filter_policy="merge"))
    asked = {"dense": {"query_embedding": [1.0, 0.0, 0.0]},
             "hybrid": {"query": "database", "query_embedding": [0.0, 0.0, 1.0], "filters": english}}  # fmt: skip

    def ids(answers: dict[str, Any]) -> dict[str, list[str]]:
        return {name: [one.id for one in answer["documents"]] for name, answer in answers.items()}

    first = ids(pipeline.run(asked))
    assert first == {"dense": ["b", "c"], "hybrid": ["c"]}
    if "memory://" in str(store.url):  # another connection to memory is another memory
        return
    monkeypatch.setenv("MY_DATABASE", str(store.url))
    store.url = Secret.from_env_var("MY_DATABASE")
    text = pipeline.dumps()
    assert "MY_DATABASE" in text
    from haystack.core.serialization import allow_deserialization_module

    allow_deserialization_module("dizuo.*")
    again = Pipeline.loads(text)
    assert ids(again.run(asked)) == first
    again.get_component("dense").document_store.store.close()
    again.get_component("hybrid").document_store.store.close()


@pytest.mark.asyncio
async def test_retrievers_are_awaited(store: DizuoDocumentStore) -> None:
    dense = await DizuoEmbeddingRetriever(store).run_async([1.0, 0.0, 0.0], top_k=1)
    hybrid = await DizuoHybridRetriever(store).run_async("weather", [1.0, 0.0, 0.0], top_k=1)
    assert [dense["documents"][0].id, hybrid["documents"][0].id] == ["a", "b"]
    with pytest.raises(TypeError, match="must be a DizuoDocumentStore"):
        DizuoEmbeddingRetriever("memory://")  # type: ignore[arg-type]


def test_a_password_never_goes_into_a_pipelines_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(VectorError, match="the login in") as caught:
        DizuoDocumentStore("postgresql://me:hunter2@host/db").to_dict()
    assert "hunter2" not in str(caught.value)
    for store in (
        DizuoDocumentStore("pinecone://?api_key=hunter2"),
        DizuoDocumentStore("redis://host", options={"password": "hunter2"}),
    ):
        with pytest.raises(VectorError, match=r"the option (api_key|password) would be written") as caught:
            store.to_dict()
        assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("MY_DATABASE", "memory://")
    written = DizuoDocumentStore(Secret.from_env_var("MY_DATABASE"), embedding_dim=3).to_dict()
    again = DizuoDocumentStore.from_dict(written)
    again.write_documents([Document(id="a", embedding=[1.0, 0.0, 0.0])])
    assert again.count_documents() == 1


@pytest.fixture
def parents(address: str) -> Iterator[DizuoDocumentStore]:
    yield from opened(address, 8)


def test_an_auto_merging_retriever_finds_the_parents_by_their_ids(parents: DizuoDocumentStore) -> None:
    from haystack.components.preprocessors import HierarchicalDocumentSplitter
    from haystack.components.retrievers import AutoMergingRetriever

    splitter = HierarchicalDocumentSplitter(block_sizes={6, 3}, split_overlap=0, split_by="word")
    split = splitter.run([Document(content="one two three four five six seven eight nine")])["documents"]
    parents.write_documents(split)
    halves = [document for document in split if document.meta["__block_size"] == 3]
    found = AutoMergingRetriever(parents, threshold=0.9).run(halves)["documents"]
    assert [document.content for document in found] == ["one two three four five six "]
    asked = {"field": "id", "operator": "in", "value": ["unknown", split[0].id]}
    assert [document.id for document in parents.filter_documents(asked)] == [split[0].id]
