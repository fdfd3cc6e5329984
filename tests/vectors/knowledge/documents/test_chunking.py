"""Chunks lose nothing, fit, and stand where they say."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.errors import DataError
from dizuo.vectors.knowledge.documents import Block, Document, chunk_document, sentences

TEXT = st.text(st.sampled_from('ab Zé.!?。！\n\t,，1-数据库”")'), max_size=120)


def words(texts: Sequence[str]) -> list[int]:
    """A counter whose parts do not add up: words, and two special tokens."""
    return [len(text.split()) + 2 for text in texts]


@st.composite
def documents(draw: st.DrawFn) -> Document:
    text, blocks = "", []
    headings: tuple[str, ...] = ()
    for number, piece in enumerate(draw(st.lists(TEXT, max_size=6))):
        piece = piece.strip()
        if not piece:
            continue
        text += "\n\n" if text else ""
        is_heading = draw(st.booleans())
        if is_heading:
            headings = (*headings[: draw(st.integers(0, 2))], f"h{number}")
        blocks.append(
            Block(len(text), len(text) + len(piece), headings, draw(st.none() | st.integers(1, 9)), is_heading)
        )
        text += piece
    return Document("doc", text, tuple(blocks))


@given(documents(), st.integers(4, 40), st.integers(0, 12), st.booleans())
def test_chunks_cover_the_text_fit_their_size_and_stand_in_order(
    document: Document, size: int, overlap: int, by_words: bool
) -> None:
    count = words if by_words else None
    chunks = chunk_document(document, size=size, overlap=min(overlap, size - 1), count=count)
    covered = [False] * len(document.text)
    for chunk in chunks:
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text == chunk.text.strip() != ""
        assert (words([chunk.text])[0] if by_words else len(chunk.text)) <= size
        covered[chunk.start : chunk.end] = [True] * (chunk.end - chunk.start)
    assert all(seen or char.isspace() for seen, char in zip(covered, document.text, strict=True))
    places = [(chunk.start, chunk.end) for chunk in chunks]
    assert places == sorted(set(places))
    assert all(one.end < two.end for one, two in pairwise(chunks)), "each chunk says something new"


@given(documents(), st.integers(6, 40), st.integers(0, 5))
def test_neighbours_repeat_no_more_than_the_overlap(document: Document, size: int, overlap: int) -> None:
    chunks = chunk_document(document, size=size, overlap=overlap)
    for one, two in pairwise(chunks):
        assert one.end - two.start <= overlap


@given(TEXT)
def test_sentences_cover_the_text_without_gap_or_overlap(text: str) -> None:
    spans = list(sentences(text))
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)


SENTENCES = {
    "Latin": ("It works. Does it? Yes!", ["It works. ", "Does it? ", "Yes!"]),
    "no break before a small letter": ("see e.g. this one. Next", ["see e.g. this one. ", "Next"]),
    "no break in a number": ("Version 3.14 is out.", ["Version 3.14 is out."]),
    "Chinese": ("他说：“好。”然后走了！真的？", ["他说：“好。”", "然后走了！", "真的？"]),
    "Japanese": ("検索です。「はい。」終わり", ["検索です。", "「はい。」", "終わり"]),
    "an ellipsis": ("等等……然后", ["等等……", "然后"]),
    "Hindi": ("यह है। वह है।", ["यह है। ", "वह है।"]),
    "paragraphs": ("one\n\ntwo", ["one\n\n", "two"]),
    "a wrapped line goes on": ("one\ntwo", ["one\ntwo"]),
    "list items": ("- one\n- two\n2. three", ["- one\n", "- two\n", "2. three"]),
}


@pytest.mark.parametrize(("text", "parts"), SENTENCES.values(), ids=SENTENCES.keys())
def test_a_sentence_ends_here(text: str, parts: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == parts


def test_whole_sentences_are_packed_and_repeated() -> None:
    document = Document.of("One two. Three four. Five six. Seven eight.")
    chunks = chunk_document(document, size=22, overlap=12)
    assert [chunk.text for chunk in chunks] == [
        "One two. Three four.",
        "Three four. Five six.",
        "Five six. Seven eight.",
    ]


def test_a_heading_begins_a_chunk_and_one_without_text_joins_what_follows() -> None:
    text = "Top\n\nSub\n\nbody one\n\nOther\n\nbody two"
    starts = [text.index(word) for word in ("Top", "Sub", "body one", "Other", "body two")]
    ends = [start + len(word) for start, word in zip(starts, ("Top", "Sub", "body one", "Other", "body two"))]
    paths = [("Top",), ("Top", "Sub"), ("Top", "Sub"), ("Top", "Other"), ("Top", "Other")]
    blocks = [Block(s, e, p, 3, n in (0, 1, 3)) for n, (s, e, p) in enumerate(zip(starts, ends, paths))]
    chunks = chunk_document(Document("d", text, tuple(blocks)), size=100)
    assert [(chunk.text, chunk.headings, chunk.page) for chunk in chunks] == [
        ("Top\n\nSub\n\nbody one", ("Top", "Sub"), 3),
        ("Other\n\nbody two", ("Top", "Other"), 3),
    ]


def test_a_sentence_too_long_is_cut_between_words_and_a_word_between_characters() -> None:
    chunks = chunk_document(Document.of("aaaa bbbb cccc dddd " + "x" * 25), size=10)
    assert [chunk.text for chunk in chunks] == ["aaaa bbbb", "cccc dddd", "x" * 10, "x" * 10, "x" * 5]


def test_sizes_that_make_no_sense_are_refused() -> None:
    for size, overlap, count in ((0, 0, None), (5, 5, None), (5, -1, None), (2, 0, words)):
        with pytest.raises(DataError, match=f"size {size} with overlap {overlap} cannot be made"):
            chunk_document(Document.of("a"), size=size, overlap=overlap, count=count)
    assert chunk_document(Document.of(""), size=5) == []
