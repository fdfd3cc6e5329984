"""Cutting a text into chunks takes work in proportion to its length, whatever stands in it; prose is cut as ever."""

from __future__ import annotations

import hashlib
import re
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from dizuo.vectors.knowledge.documents import Document, chunk_document, chunking, read_document, sentences

KINDS: dict[str, tuple[str, Callable[[int], str]]] = runpy.run_path(
    str(Path(__file__).parents[4] / "benchmarks" / "chunking.py")
)["KINDS"]
TOKEN = re.compile(r"\w{1,5}|[^\w\s]")


def tokens(texts: Sequence[str]) -> list[int]:
    """Count tokens roughly as a word-piece tokenizer does, two special ones with them."""
    return [len(TOKEN.findall(text)) + 2 for text in texts]


def unknown_words(texts: Sequence[str]) -> list[int]:
    """Count words: what a tokenizer does for which every long word is one unknown token."""
    return [len(text.split()) + 2 for text in texts]


def work_of(document: Document, count: Callable[[Sequence[str]], Sequence[int]]) -> tuple[int, int]:
    """Return how many characters the tokenizer was given, and how many lines of chunking.py were run."""
    looked = lines = 0

    def counted(texts: Sequence[str]) -> Sequence[int]:
        nonlocal looked
        looked += sum(map(len, texts))
        return count(texts)

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal lines
        if frame.f_code.co_filename != chunking.__file__:
            return None
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        chunk_document(document, size=64, overlap=8, count=counted)
    finally:
        sys.settrace(before)
    return looked, lines


@pytest.mark.parametrize("count", [tokens, unknown_words])
@pytest.mark.parametrize("kind", KINDS)
def test_ten_times_the_text_is_at_most_twelve_times_the_work(kind: str, count: Any, tmp_path: Path) -> None:
    suffix, write = KINDS[kind]
    if suffix == ".md":
        pytest.importorskip("markdown_it")
    if suffix == ".html":
        pytest.importorskip("selectolax")
    works = []
    for length in (15_000, 150_000):
        path = tmp_path / f"text{suffix}"
        path.write_text(write(length), "utf-8")
        document = read_document(path)
        looked, lines = work_of(document, count)
        assert looked <= 40 * len(document.text) + 10_000, "a character is looked at again and again"
        works.append((looked, lines))
    (looked, lines), (ten_looked, ten_lines) = works
    assert ten_looked <= 12 * looked + 10_000
    assert ten_lines <= 12 * lines


@pytest.mark.parametrize(
    "text", ["." * 400_000, '."' * 200_000, "\n" + " " * 400_000, "1" * 400_000, "。" * 400_000 + "a"]
)
def test_the_end_of_a_sentence_is_looked_for_once(text: str) -> None:
    """Regular expressions run no lines to count: 400,000 stops took minutes, and take milliseconds."""
    began = time.process_time()
    assert "".join(text[start:end] for start, end in sentences(text)) == text
    assert time.process_time() - began < 5


@pytest.mark.parametrize("count", [tokens, unknown_words, None])
def test_a_chunk_of_words_nobody_knows_is_not_megabytes(count: Any) -> None:
    chunks = chunk_document(Document.of("x" * 100_000 + " " + "y" * 100_000), size=64, count=count)
    assert max(len(chunk.text) for chunk in chunks) <= 64 * 32
    assert "".join("".join(chunk.text.split()) for chunk in chunks) == "x" * 100_000 + "y" * 100_000


PINNED = {
    ("prose", 256, 32): "aa95043b5527090f",
    ("prose", 64, 8): "9733187f471be2f8",
    ("Chinese", 256, 32): "70078ed79176f29c",
    ("Chinese", 64, 8): "27988a461ffb75be",
    ("log", 256, 32): "09fceffa3080a4ff",
    ("headings", 64, 8): "3d475f888f1d9595",
    ("code in Markdown", 64, 8): "a84587b8de4e4e01",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "size", "overlap"), PINNED)
def test_chunks_are_cut_where_they_have_always_been_cut(kind: str, size: int, overlap: int, tmp_path: Path) -> None:
    """A knowledge base whose documents are cut elsewhere embeds all of them again."""
    suffix, write = KINDS[kind]
    if suffix == ".md":
        pytest.importorskip("markdown_it")
    (tmp_path / f"text{suffix}").write_text(write(20_000), "utf-8")
    document = read_document(tmp_path / f"text{suffix}")
    places = [(chunk.start, chunk.end) for chunk in chunk_document(document, size=size, overlap=overlap, count=tokens)]
    assert hashlib.sha256(repr(places).encode()).hexdigest()[:16] == PINNED[kind, size, overlap]
