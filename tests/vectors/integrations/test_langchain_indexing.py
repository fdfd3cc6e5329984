"""`langchain_core.indexing.index` and `aindex` over a dizuo store: what is new is added, what is gone is removed.

What is asked for are the cases of langchain-core's own tests (`tests/unit_tests/indexing/test_indexing.py`), which are
not part of its package: every way of cleaning up, documents that change and come twice, batches of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_core")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.indexing.base import RecordManager

from dizuo.errors import VectorError
from dizuo.vectors.integrations.langchain import DizuoVectorStore

COUNTS = ("num_added", "num_updated", "num_skipped", "num_deleted")


class Clock(InMemoryRecordManager):
    """A record manager whose time goes on by one with every call, so that no two runs are at the same moment."""

    ticks = 0.0

    def get_time(self) -> float:
        self.ticks += 1.0
        return self.ticks


@pytest.fixture
def store(address: str) -> Iterator[DizuoVectorStore]:
    store = DizuoVectorStore.from_url(address, DeterministicFakeEmbedding(size=6), collection="langchain-indexing")
    yield store
    store.store.drop()
    store.store.close()


@pytest.fixture
def manager() -> Clock:
    manager = Clock(namespace="dizuo")
    manager.create_schema()
    return manager


@pytest.fixture(params=["index", "aindex"])
def run(request: pytest.FixtureRequest) -> Any:
    def call(documents: Iterable[Document], manager: RecordManager, store: DizuoVectorStore, **more: Any) -> list[int]:
        more = {"key_encoder": "blake2b", **more}
        if request.param == "index":
            answer = index(list(documents), manager, store, **more)
        else:
            answer = asyncio.run(aindex(list(documents), manager, store, **more))
        return [answer[count] for count in COUNTS]  # type: ignore[literal-required]

    return call


def doc(text: str, source: str = "1") -> Document:
    return Document(page_content=text, metadata={"source": source})


def texts(store: DizuoVectorStore) -> list[str | None]:
    return sorted(str(point.document) for point in store.store.points())


def test_the_same_documents_are_skipped_and_new_ones_added(run: Any, manager: Clock, store: DizuoVectorStore) -> None:
    assert run([doc("a"), doc("b")], manager, store) == [2, 0, 0, 0]
    assert run([doc("a"), doc("b")], manager, store) == [0, 0, 2, 0]
    assert run([doc("a"), doc("b"), doc("c"), doc("c")], manager, store, batch_size=3) == [1, 0, 3, 0]
    assert texts(store) == ["a", "b", "c"]


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_full_cleanup_leaves_what_was_given(
    run: Any, manager: Clock, store: DizuoVectorStore, batch_size: int
) -> None:
    run([doc(f"text {n}") for n in range(7)], manager, store, cleanup="full", batch_size=batch_size)
    given = [doc("text 3"), doc("new")]
    assert run(given, manager, store, cleanup="full", cleanup_batch_size=2, batch_size=batch_size) == [1, 0, 1, 6]
    assert texts(store) == ["new", "text 3"]
    assert run([], manager, store, cleanup="full") == [0, 0, 0, 2]
    assert store.store.count() == 0


@pytest.mark.parametrize("cleanup", ["incremental", "scoped_full"])
def test_a_cleanup_by_source_leaves_other_sources_alone(
    run: Any, manager: Clock, store: DizuoVectorStore, cleanup: str
) -> None:
    first = [doc("one a", "1"), doc("one b", "1"), doc("two a", "2")]
    options = {"cleanup": cleanup, "source_id_key": "source"}
    assert run(first, manager, store, **options) == [3, 0, 0, 0]
    assert run([doc("one a", "1"), doc("one c", "1")], manager, store, **options) == [1, 0, 1, 1]
    assert texts(store) == ["one a", "one c", "two a"]
    assert run([doc("two b", "2")], manager, store, batch_size=1, **options) == [1, 0, 0, 1]
    assert texts(store) == ["one a", "one c", "two b"]


def test_a_forced_update_writes_again_what_is_there(run: Any, manager: Clock, store: DizuoVectorStore) -> None:
    run([doc("a"), doc("b")], manager, store)
    store.store.clear()
    assert run([doc("a"), doc("b")], manager, store, force_update=True) == [0, 2, 0, 0]
    assert texts(store) == ["a", "b"]


def test_arguments_for_the_store_are_handed_on(run: Any, manager: Clock, store: DizuoVectorStore) -> None:
    assert run([doc("a")], manager, store, upsert_kwargs={"wait": True}) == [1, 0, 0, 0]
    with pytest.raises(VectorError, match="arguments that nobody reads") as caught:
        run([doc("b")], manager, store, upsert_kwargs={"wiat": False})
    assert caught.value.details == ("wiat: no such argument (did you mean 'wait'?)",)
    assert texts(store) == ["a"]


def test_documents_are_embedded_in_batches_of_the_size_that_is_asked_for() -> None:
    class Counting(DeterministicFakeEmbedding):
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            sizes.append(len(texts))
            return super().embed_documents(texts)

    sizes: list[int] = []
    embedding = Counting(size=4)
    store = DizuoVectorStore.from_documents([doc(str(n)) for n in range(7)], embedding, batch_size=3)
    assert sizes == [3, 3, 1]
    store.add_texts([str(n) for n in range(5)], batch_size=2)
    assert sizes == [3, 3, 1, 2, 2, 1]
    for wrong in (0, -1, 2.5, True):
        with pytest.raises(VectorError, match="batch_size is"):
            store.add_texts(["a"], batch_size=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda store: store.add_texts(["a"], namespace="x"), "namespace"),
        (lambda store: store.delete(["a"], soft=True), "soft"),
        (lambda store: store.similarity_search("a", where="n == 1"), "where"),
        (lambda store: store.similarity_search_with_score("a", score_threshold=0.5), "score_threshold"),
        (lambda store: store.hybrid_search("a", alpha=0.5), "alpha"),
        (lambda store: store.max_marginal_relevance_search("a", lamda=1), "lamda"),
    ],
)
def test_an_argument_that_nobody_reads_is_an_error(call: Any, name: str) -> None:
    store = DizuoVectorStore.from_texts(["a"], DeterministicFakeEmbedding(size=4))
    with pytest.raises(VectorError, match="arguments that nobody reads") as caught:
        call(store)
    assert caught.value.details[0].startswith(f"{name}: no such argument")
