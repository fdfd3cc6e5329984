"""A knowledge base that is open while others change its embedder, or make it anew: its handle says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dizuo.errors import VectorError
from dizuo.vectors import connect
from dizuo.vectors.embedders import CallableEmbedder
from dizuo.vectors.knowledge import changing_embedder
from dizuo.vectors.knowledge.changing_embedder import change_embedder
from dizuo.vectors.knowledge.documents import Document
from dizuo.vectors.knowledge.generations import Superseded
from dizuo.vectors.knowledge.knowledge_base import Head, KnowledgeBase
from dizuo.vectors.vector_store import VectorStore

TEXTS = {"cats.txt": "Cats sleep all day.", "dogs.txt": "Dogs bark at strangers."}
QUERIES, RELEVANT = {"q": "Cats sleep"}, {"q": {"cats.txt": 1}}


class Letters(CallableEmbedder):
    """Counts letters, a different number of them by its digest; `before` runs before it embeds."""

    def __init__(self, digest: str, dim: int) -> None:
        self.before: Callable[[], object] = lambda: None
        super().__init__(self._make, name=f"letters {digest}", dim=dim, digest=digest, max_tokens=256)

    def _make(self, texts: Sequence[str]) -> Any:
        self.before()
        rows = [[text.lower().count(chr(97 + n)) + 0.1 for n in range(self.dim)] for text in texts]
        return np.array(rows, np.float32)


def old() -> Letters:
    return Letters("one", 26)


def new() -> Letters:
    return Letters("two", 24)


def documents(texts: dict[str, str]) -> list[Document]:
    return [Document.of(text, source) for source, text in texts.items()]


@pytest.fixture(params=["memory", "lancedb", pytest.param("postgresql", marks=pytest.mark.slow)])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "memory":
        url = f"memory://{tmp_path.name}"
    elif request.param == "lancedb":
        pytest.importorskip("lancedb")
        url = f"lancedb://{tmp_path}/index"
    else:
        url = request.getfixturevalue("engine_postgresql").url
    yield url
    for collection in ("knowledge.about", "knowledge.g1", "knowledge.g2"):
        with connect(url, dim=None if exists(url, collection) else 1, collection=collection) as store:
            store.drop()


def exists(url: str, collection: str) -> bool:
    try:
        connect(url, collection=collection, create=False).close()
    except VectorError:
        return False
    return True


@pytest.fixture
def kb(address: str) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(address, old()) as opened:
        opened.sync(documents(TEXTS))
        assert opened.search("Cats sleep", mode="dense")[0].source == "cats.txt"
        yield opened


def change(address: str, **more: Any) -> KnowledgeBase:
    changed = change_embedder(KnowledgeBase.open(address, old()), new(), QUERIES, RELEVANT, **more)
    assert changed.swapped
    return changed.knowledge_base


def remove(address: str) -> None:
    with KnowledgeBase.open(address, old()) as opened:
        opened.chunks.drop()
        opened.about.drop()


def make_anew(address: str, **more: Any) -> None:
    remove(address)
    with KnowledgeBase.open(address, old(), **more) as opened:
        opened.sync(documents({"other.txt": "Something else."}))


EVENTS: dict[str, tuple[Callable[[str], object], str, str]] = {
    "another embedder": (
        lambda address: change(address).close(), "is embedded with letters two now, and was opened with letters one",
        "that embedder",
    ),
    "another embedder, and the old generation is kept": (
        lambda address: change(address, keep_old=True).close(), "is embedded with letters two now", "that embedder",
    ),
    "removed": (remove, "was removed since it was opened", "open it again"),
    "made anew": (make_anew, "since it was opened", "open it again"),
    "made anew with other chunks": (
        lambda address: make_anew(address, size=99), "since it was opened", "open it again",
    ),
}  # fmt: skip
VERBS: dict[str, Callable[[KnowledgeBase], object]] = {
    "search": lambda kb: kb.search("Cats sleep"),
    "search dense": lambda kb: kb.search("Cats sleep", mode="dense"),
    "search words": lambda kb: kb.search("Cats", mode="words"),
    "documents": lambda kb: kb.documents(),
    "sync": lambda kb: kb.sync(documents({"late.txt": "Late words."}), prune=False),
    "sync of what is there": lambda kb: kb.sync(documents(TEXTS)),
    "sync_folder": lambda kb: kb.sync_folder(Path(__file__).parent, patterns=("*.txt",), prune=False),
    "delete": lambda kb: kb.delete(["cats.txt"]),
}


@pytest.mark.parametrize("event", EVENTS)
def test_an_open_handle_says_what_happened(kb: KnowledgeBase, address: str, event: str) -> None:
    happen, message, hint = EVENTS[event]
    happen(address)
    for name, verb in VERBS.items():
        with pytest.raises(Superseded) as caught:
            verb(kb)
        assert message in str(caught.value), name
        assert "'knowledge'" in str(caught.value)
        assert hint in str(caught.value.hint)
    if "embedder" in event:
        with KnowledgeBase.open(address, new()) as again:
            assert again.documents().keys() == TEXTS.keys()


def test_documents_of_a_sync_that_the_change_overtakes_are_not_said_to_be_in(kb: KnowledgeBase, address: str) -> None:
    assert isinstance(kb.embedder, Letters)
    changed: list[KnowledgeBase] = []

    def overtake() -> None:
        kb.embedder.before = lambda: None  # type: ignore[attr-defined]
        # Not yet written, but in the records already: the change must not take that for a document.
        kb.records.delete([id for block in kb.records.scan() for id, row in zip(block.ids, block.metadata, strict=True)
                           if not row["fingerprint"]])  # fmt: skip
        changed.append(change(address, keep_old=True))

    kb.embedder.before = overtake
    with pytest.raises(Superseded, match="letters two"):
        kb.sync(documents({"late.txt": "Late words."}), prune=False)
    (current,) = changed
    assert current.documents().keys() == TEXTS.keys()
    current.sync(documents({"late.txt": "Late words."}), prune=False)
    assert current.search("late", mode="words")[0].source == "late.txt"
    current.close()


def test_what_is_written_at_the_moment_of_the_swap_is_taken_over(
    kb: KnowledgeBase, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = changing_embedder.write_head

    def write_late(about: VectorStore, head: Head) -> None:
        kb.sync(documents({"late.txt": "Late words.", "cats.txt": "Cats purr."}), prune=False)
        kb.delete(["dogs.txt"])
        write(about, head)

    monkeypatch.setattr(changing_embedder, "write_head", write_late)
    current = change(address)
    assert current.documents() == {"late.txt": 1, "cats.txt": 1}
    assert [passage.text for passage in current.search("late", mode="words")] == ["Late words."]
    assert current.search("Cats purr", k=1, mode="dense")[0].text == "Cats purr."
    assert current.chunks.count() == 2
    current.close()


def test_a_document_that_changed_meanwhile_stops_the_change(kb: KnowledgeBase, address: str) -> None:
    other = new()

    def write_in_between() -> None:
        other.before = lambda: None
        kb.sync(documents({"cats.txt": "Cats purr."}), prune=False)  # as many chunks as before

    other.before = write_in_between
    with (
        KnowledgeBase.open(address, old()) as again,
        pytest.raises(VectorError, match="was changed while its embedder was"),
    ):
        change_embedder(again, other, QUERIES, RELEVANT)
    assert kb.search("purr", mode="words")[0].text == "Cats purr."
