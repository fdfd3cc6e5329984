"""Knowledge bases: only changes are embedded, deletions follow, citations lead back, and nothing is half-done."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dizuo.errors import DataError, EvaluationError, VectorError
from dizuo.events import Event, Warned
from dizuo.vectors.embedders import CallableEmbedder
from dizuo.vectors.knowledge.changing_embedder import change_embedder
from dizuo.vectors.knowledge.documents import Document
from dizuo.vectors.knowledge.documents.readers import READERS
from dizuo.vectors.knowledge.hard_negatives import mine_hard_negatives
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase, read_head
from dizuo.vectors.knowledge.retrieval_metrics import evaluate_retrieval, sources_of
from dizuo.vectors.lexical import document_tokens


def hashed(texts: Sequence[str], dim: int = 48) -> np.ndarray:
    """Bags of words under a random projection: a small embedder that really finds like by like."""
    out = np.zeros((len(texts), dim), np.float32)
    for row, text in enumerate(texts):
        for token in document_tokens(text) or ["empty"]:
            out[row] += np.random.default_rng(list(token.encode())).standard_normal(dim).astype(np.float32)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


class Words(CallableEmbedder):
    """Counts what it embeds; its tokens are words, and two special ones."""

    def __init__(self, *, dim: int = 48, digest: str = "words-1", broken: bool = False) -> None:
        self.embedded: list[str] = []
        self.broken = broken
        super().__init__(self._make, name=f"words {digest}", dim=dim, digest=digest, max_tokens=20)

    def _make(self, texts: list[str]) -> Any:
        self.embedded += texts
        vectors = hashed(texts, self.dim)
        return np.ones_like(vectors) if self.broken else vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://{request.node.name.replace('[', '-').rstrip(']')}"


@pytest.fixture
def kb(url: str) -> Iterator[KnowledgeBase]:
    with KnowledgeBase.open(url, Words()) as opened:
        yield opened


TEXTS = {
    "cats.txt": "Cats sleep all day. " * 6 + "A cat hunts mice at night.",
    "dogs.txt": "Dogs bark at strangers. A dog needs long walks.",
    "zh.txt": "向量数据库支持混合检索。猫睡觉。",
}


def documents(texts: dict[str, str]) -> list[Document]:
    return [Document.of(text, source, metadata={"lang": source[:2]}) for source, text in texts.items()]


def embedded(kb: KnowledgeBase) -> list[str]:
    assert isinstance(kb.embedder, Words)
    found, kb.embedder.embedded = kb.embedder.embedded, []
    return found


def check(kb: KnowledgeBase, texts: dict[str, str]) -> None:
    """The chunks of exactly these texts are there, each where it says."""
    seen: dict[str, set[int]] = {source: set() for source in texts}
    for point in kb.chunks.points():
        row = point.metadata
        assert point.document == texts[row["source"]][row["start"] : row["end"]]
        np.testing.assert_allclose(point.vector, hashed([point.document], kb.embedder.dim)[0], atol=1e-6)
        seen[row["source"]].update(range(row["start"], row["end"]))
    for source, text in texts.items():
        assert all(char.isspace() or place in seen[source] for place, char in enumerate(text))
    assert kb.documents().keys() == texts.keys()
    assert sum(kb.documents().values()) == kb.chunks.count()


def test_only_what_changed_is_embedded_and_deletions_follow(kb: KnowledgeBase) -> None:
    first = kb.sync(documents(TEXTS))
    assert (first.added, first.changed, first.deleted, first.unchanged) == (tuple(TEXTS), (), (), 0)
    assert first.chunks == len(embedded(kb)) == kb.chunks.count() > 3
    check(kb, TEXTS)
    assert kb.sync(documents(TEXTS)).unchanged == 3
    assert embedded(kb) == []
    texts = {**TEXTS, "cats.txt": "Cats purr.", "new.txt": "A new one."}
    del texts["dogs.txt"]
    second = kb.sync(documents(texts))
    assert (second.added, second.changed, second.deleted) == (("new.txt",), ("cats.txt",), ("dogs.txt",))
    assert sorted(embedded(kb)) == ["A new one.", "Cats purr."]
    check(kb, texts)
    kb.sync(documents({"one.txt": "one"}), prune=False)
    check(kb, {**texts, "one.txt": "one"})
    assert kb.delete(["one.txt", "unknown"]) == 1
    check(kb, texts)


def test_only_documents_that_were_there_are_asked_for_old_chunks(
    kb: KnowledgeBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    delete = kb.chunks.delete

    def noted(ids: Any = None, *, where: Any = None) -> int:
        asked.append(str(where))
        return delete(ids, where=where)

    monkeypatch.setattr(kb.chunks, "delete", noted)
    kb.sync(documents(TEXTS))
    assert asked == []
    kb.sync(documents({**TEXTS, "cats.txt": "Cats purr.", "new.txt": "A new one."}))
    assert len(asked) == 1
    assert "cats.txt" in asked[0]
    assert "new.txt" not in asked[0]
    check(kb, {**TEXTS, "cats.txt": "Cats purr.", "new.txt": "A new one."})


def test_content_that_moves_between_sources_stays_apart(kb: KnowledgeBase) -> None:
    kb.sync(documents({"a": "first text", "b": "second text here"}))
    kb.sync(documents({"a": "second text here", "b": "first text"}))
    check(kb, {"a": "second text here", "b": "first text"})


def test_changed_metadata_alone_is_a_change(kb: KnowledgeBase) -> None:
    kb.sync([Document.of("text", "a", metadata={"year": 1})])
    assert kb.sync([Document.of("text", "a", metadata={"year": 2})]).changed == ("a",)
    assert [passage.metadata for passage in kb.search("text", where="year == 2")] == [{"year": 2}]


@pytest.mark.parametrize("mode", ["hybrid", "dense", "words"])
def test_a_passage_cites_its_place(kb: KnowledgeBase, mode: Any, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# Guide\n\nIntro.\n\n## Leave\n\nThirty days of leave are given.\n")
    (tmp_path / "other.md").write_text("# Other\n\nNothing to see.\n")
    kb.sync_folder(tmp_path)
    passage = kb.search("how many days of leave", k=1, mode=mode)[0]
    text = (tmp_path / "guide.md").read_text()
    assert text[passage.start : passage.end] == passage.text
    assert "Thirty days" in passage.text
    assert (passage.source, passage.title, passage.headings) == ("guide.md", "Guide", ("Guide", "Leave"))
    assert passage.citation == f"guide.md, Guide › Leave, characters {passage.start}–{passage.end}"
    assert kb.search("leave", k=5, mode=mode, where='source == "other.md"') == [] or mode != "words"


def test_a_passage_of_a_pdf_cites_the_heading_above_it_on_its_page(kb: KnowledgeBase, tmp_path: Path) -> None:
    case = Path(__file__).parent / "documents" / "cases" / "outline.pdf"
    (tmp_path / "rules.pdf").write_bytes(case.read_bytes())
    kb.sync_folder(tmp_path)
    found = {query: kb.search(query, k=1, mode="words")[0] for query in ("nine", "transfer", "months")}
    assert {query: (passage.page, passage.headings) for query, passage in found.items()} == {
        "nine": (1, ("2 Sickness",)),
        "transfer": (1, ("3 Pay",)),  # on page 2 above its first heading: the section began on page 1
        "months": (2, ("4 Notice",)),
    }
    assert found["nine"].citation.startswith("rules.pdf, page 1, 2 Sickness, characters ")


def test_a_reranker_sees_more_and_decides(kb: KnowledgeBase) -> None:
    kb.sync(documents(TEXTS))
    seen: list[int] = []

    def longest(query: str, texts: Sequence[str]) -> list[float]:
        seen.append(len(texts))
        return [float(len(text)) for text in texts]

    passages = kb.search("cat", k=2, mode="dense", rerank=longest)
    assert seen == [kb.chunks.count()]
    assert [passage.score for passage in passages] == sorted(len(p.document or "") for p in kb.chunks.points())[:-3:-1]
    with pytest.raises(VectorError, match="returned 1 scores for"):
        kb.search("cat", k=2, rerank=lambda query, texts: [1.0])


def test_files_that_cannot_be_read_keep_what_was_known(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha text")
    (tmp_path / "b.txt").write_text("beta text")
    kb.sync_folder(tmp_path)
    (tmp_path / "a.txt").write_bytes(bytes(range(256)))
    with pytest.raises(DataError, match=r"a\.txt is not text"):
        kb.sync_folder(tmp_path, on_error="raise")
    result = kb.sync_folder(tmp_path)
    assert (result.unchanged, list(result.failed)) == (1, ["a.txt"])
    check(kb, {"a.txt": "alpha text", "b.txt": "beta text"})
    (tmp_path / "a.txt").unlink()
    assert kb.sync_folder(tmp_path).deleted == ("a.txt",)


def test_what_a_reader_leaves_out_is_named_once_for_each_file(kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("<p>alpha text<div hidden>secret</div><div hidden>secret</div><img src=x>")
    (tmp_path / "b.html").write_text("<p>beta text")
    heard: list[Event] = []
    result = kb.sync_folder(tmp_path, watch=heard.append)
    assert {source: list(map(str, items)) for source, items in result.left_out.items()} == {
        "a.html": ["hidden elements (2)", "pictures without a description (1)"]
    }
    assert [event.text for event in heard if isinstance(event, Warned)] == [
        "a.html: not read: hidden elements (2), pictures without a description (1)"
    ]
    heard.clear()
    assert kb.sync_folder(tmp_path, watch=heard.append).left_out == {}
    assert not [event for event in heard if isinstance(event, Warned)]


def test_files_are_read_anew_when_their_reader_has_changed(
    kb: KnowledgeBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that finds more in a file than its last version did would else never be asked."""
    (tmp_path / "a.txt").write_text("alpha text")
    (tmp_path / "b.html").write_text("<p>beta text")
    kb.sync_folder(tmp_path)
    assert kb.sync_folder(tmp_path).unchanged == 2
    readers = {**READERS.all(), "html": replace(READERS.load("html"), version=2)}
    monkeypatch.setattr(type(READERS), "all", lambda kind: readers)
    result = kb.sync_folder(tmp_path)
    assert (result.changed, result.unchanged) == (("b.html",), 1)
    check(kb, {"a.txt": "alpha text", "b.html": "beta text"})


def test_a_sync_that_breaks_off_anywhere_is_made_good_by_the_next(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = dict(TEXTS)
    with KnowledgeBase.open(url, Words()) as kb:
        kb.sync(documents(texts))
        texts["cats.txt"] = "Cats purr. " * 20
        texts["dogs.txt"] = "short"
        for method, store in (("upsert", kb.records), ("upsert", kb.chunks), ("delete", kb.chunks)):
            with monkeypatch.context() as patch:
                patch.setattr(store, method, _raise)
                with pytest.raises(ConnectionError):
                    kb.sync(documents(texts))
            if store is kb.chunks:  # back to what it was: the record must not take the mixture for it
                kb.sync(documents(TEXTS))
                check(kb, TEXTS)
        assert kb.sync(documents(texts)).changed == ("cats.txt", "dogs.txt")
        check(kb, texts)
        with monkeypatch.context() as patch:  # a new document that breaks off, and is never given again
            first = iter([kb.records.upsert])  # says that it is not whole; the record that says it is does not come
            patch.setattr(kb.records, "upsert", lambda *args, **more: next(first, _raise)(*args, **more))
            with pytest.raises(ConnectionError):
                kb.sync(documents({**texts, "late.txt": "too late"}))
            assert kb.chunks.count('source == "late.txt"') == 1
        assert kb.sync(documents(texts)).deleted == ("late.txt",)
        check(kb, texts)


def _raise(*args: Any, **kwargs: Any) -> Any:
    raise ConnectionError("gone")


def test_what_does_not_fit_is_refused(kb: KnowledgeBase, url: str) -> None:
    with pytest.raises(DataError, match="two documents have the source 'a'"):
        kb.sync([Document.of("x", "a"), Document.of("y", "a")])
    with pytest.raises(DataError, match="the metadata key 'page' is one of dizuo's own"):
        kb.sync([Document.of("x", "a", metadata={"page": 3})])
    with pytest.raises(VectorError, match="was embedded with words words-1, and this is words other"):
        KnowledgeBase.open(url, Words(digest="other"))
    with pytest.raises(VectorError, match="has chunks of 20 with overlap 2, not size 9"):
        KnowledgeBase.open(url, Words(), size=9)
    with pytest.raises(VectorError, match="without a name"):
        KnowledgeBase.open("memory://", Words())


def test_documents_can_stay_whole(url: str) -> None:
    with KnowledgeBase.open(url, Words(), size=0) as kb:
        kb.sync(documents(TEXTS))
        assert kb.documents() == dict.fromkeys(TEXTS, 1)
        check(kb, TEXTS)


QUERIES = {"q1": "cats sleep", "q2": "long walks with a dog", "q3": "混合检索"}
RELEVANT = {"q1": {"cats.txt": 1}, "q2": {"dogs.txt": 2, "cats.txt": 0}, "q3": {"zh.txt": 1}}


def test_a_better_or_equal_embedder_is_taken(kb: KnowledgeBase, url: str) -> None:
    kb.sync(documents(TEXTS))
    before = {point.id: point.metadata for point in kb.chunks.points()}
    new = Words(dim=64, digest="words-2")
    changed = change_embedder(kb, new, QUERIES, RELEVANT, k=2)
    assert changed.swapped
    assert changed.before.recall.estimate == changed.after.recall.estimate == 1.0
    with KnowledgeBase.open(url, Words(dim=64, digest="words-2")) as again:
        assert again.head.generation == 2
        check(again, TEXTS)
        assert {point.id: point.metadata for point in again.chunks.points()} == before
        assert again.sync(documents(TEXTS)).unchanged == 3
        assert set(again.about.namespaces()) == {"", "g2"}
        assert again.about.namespaces()[""] == 1
    with pytest.raises(VectorError, match="was embedded with words words-2"):
        KnowledgeBase.open(url, Words())


def test_a_worse_embedder_is_not_taken_and_leaves_no_trace(kb: KnowledgeBase, url: str) -> None:
    kb.sync(documents(TEXTS))
    changed = change_embedder(kb, Words(dim=64, digest="broken", broken=True), QUERIES, RELEVANT, k=1)
    assert not changed.swapped
    assert "recall@1 1.0000 → " in changed.reason
    assert read_head(kb.about) == kb.head
    assert set(kb.about.namespaces()) == {"", "g1"}
    check(kb, TEXTS)
    assert change_embedder(kb, Words(dim=32, digest="b", broken=True), QUERIES, RELEVANT, k=1, tolerance=1).swapped


def test_a_change_that_breaks_off_leaves_the_old_index_and_can_be_repeated(kb: KnowledgeBase) -> None:
    kb.sync(documents(TEXTS))

    class Dies(Words):
        def _make(self, texts: list[str]) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change_embedder(kb, Dies(dim=64, digest="dies"), QUERIES, RELEVANT)
    check(kb, TEXTS)
    # As a kill leaves it: the mark and a shadow of other dimensions.
    from dizuo.vectors.knowledge.changing_embedder import _MARK

    assert kb.about.get(_MARK) is not None
    row = kb.about.get(_MARK).metadata["change"]["new"]  # type: ignore[union-attr]
    assert row["dim"] == 64
    assert change_embedder(kb, Words(dim=16, digest="small"), QUERIES, RELEVANT, tolerance=1).swapped


def test_figures_are_those_worked_out_by_hand() -> None:
    answers = {"one": ["x", "a", "b"], "two": ["c"], "three": [], "four": ["d", "d", "x", "y"]}
    relevant = {"1": {"a": 1, "b": 1, "z": 1}, "2": {"c": 1}, "3": {"q": 1}, "4": {"y": 2, "d": 1, "x": 0}}
    queries = {"1": "one", "2": "two", "3": "three", "4": "four"}
    found = evaluate_retrieval(lambda text: answers[text], queries, relevant, k=3)
    log = np.log2
    ideal = 1 + 1 / log(3) + 1 / log(4)
    by_hand = {
        "1": {"ndcg": (1 / log(3) + 1 / log(4)) / ideal, "recall": 2 / 3, "mrr": 1 / 2},
        "2": {"ndcg": 1, "recall": 1, "mrr": 1},
        "3": {"ndcg": 0, "recall": 0, "mrr": 0},
        "4": {"ndcg": (1 + 2 / log(4)) / (2 + 1 / log(3)), "recall": 1, "mrr": 1},
    }
    for id, figures in by_hand.items():
        assert found.per_query[id] == pytest.approx(figures), id
    assert found.recall.estimate == pytest.approx((2 / 3 + 1 + 0 + 1) / 4)
    assert found.mrr.low <= found.mrr.estimate <= found.mrr.high
    with pytest.raises(EvaluationError, match="1 of 2 queries have no relevant document"):
        evaluate_retrieval(lambda text: [], {"1": "one", "5": "five"}, {**relevant, "5": {"a": 0}})


def test_sources_are_found_by_their_best_passage(kb: KnowledgeBase) -> None:
    kb.sync(documents({**TEXTS, "more.txt": "A cat. " * 60}))
    found = sources_of(kb, k=4, mode="dense", exact=True)("a cat")
    assert sorted(found) == sorted([*TEXTS, "more.txt"])
    assert found[0] == "more.txt"


def test_hard_negatives_are_near_wrong_and_not_nearer_than_the_answer(kb: KnowledgeBase) -> None:
    kb.sync(documents({**TEXTS, "copy.txt": "A dog needs long walks.", "wolf.txt": "A wolf needs long walks."}))
    pairs = mine_hard_negatives(
        kb, {"q": "a dog needs walks", "none": "x"}, {"q": {"dogs.txt": 1}}, negatives=2, margin=0.99
    )
    (pair,) = pairs
    assert pair.anchor == "a dog needs walks"
    assert "Dogs bark" in pair.positive
    assert "A dog needs long walks." not in pair.negatives, "nearer than the answer: it may be one"
    assert pair.negatives


KILLED = """
    import sys
    from tests_words import Words, documents
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
    kb = KnowledgeBase.open(sys.argv[1], Words())
    print("ready", flush=True)
    n = int(sys.argv[2])
    kb.sync(documents({f"d{i}": f"text {i} of state {n}. " * (1 + (i * n) % 7) for i in range(60)}))
"""


@pytest.mark.slow
def test_a_sync_killed_at_any_moment_is_made_good_by_the_next(tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    (tmp_path / "tests_words.py").write_text(Path(__file__).read_text("utf-8"))
    place = f"lancedb://{tmp_path}/index"
    draw = random.Random(3)
    for turn in range(1, 7):
        code = [sys.executable, "-c", textwrap.dedent(KILLED), place, str(turn)]
        with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(draw.uniform(0, 1.5))
            process.kill()
        texts = {f"d{i}": f"text {i} of state {turn}. " * (1 + (i * turn) % 7) for i in range(50)}
        with KnowledgeBase.open(place, Words()) as kb:
            kb.sync(documents(texts))
            check(kb, texts)
