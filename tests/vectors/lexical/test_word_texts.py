"""Texts of words are the tokens of every document, whatever its characters, with spaces between them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.vectors.lexical import document_tokens
from dizuo.vectors.lexical.word_texts import word_texts

LONG = "a" * 64


def words_of(documents: list[str | None], *, cut: slice = slice(None)) -> list[list[str] | None]:
    array = pa.array(documents, pa.string())[cut] if cut != slice(None) else pa.array(documents, pa.string())
    return [None if text is None else text.split(" ") for text in word_texts(array).to_pylist()]


@pytest.mark.parametrize(
    "documents",
    [
        ["Red tea!", "茶", "?", None, ""],
        [f"{LONG}b c", f"x {LONG}", LONG * 3 + "-" + LONG],
        ["a" * 40, "b" * 40],  # neighbours in memory, and two words
        [None, None],
        ["", ""],
        [],
        ["Ünïcödé and ascii", "ascii\tonly\nhere_and 'there'", "数据库检索 with BM25", "\x00nul\x7f"],
    ],
)
def test_the_words_are_those_of_the_tokenizer(documents: list[str | None]) -> None:
    expected = [tokens if (tokens := document_tokens(text or "")) else None for text in documents]
    assert [text and [word for word in text if word] for text in words_of(documents)] == expected


@settings(deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.text(max_size=90), st.text("aZ9 -é茶", max_size=200)), max_size=8),
    st.integers(0, 8),
)
def test_the_words_are_those_of_the_tokenizer_on_any_text(documents: list[str | None], start: int) -> None:
    part = documents[start:]
    expected = [tokens if (tokens := document_tokens(text or "")) else None for text in part]
    found = words_of(documents, cut=slice(start, None)) if start else words_of(documents)
    assert [text and [word for word in text if word] for text in found] == expected


@pytest.mark.parametrize("before", range(9))
def test_a_run_beyond_the_longest_word_is_cut_wherever_it_lies(before: int) -> None:
    documents: list[str | None] = ["x" * before, *("y" * length + " z" for length in range(62, 68)), "end"]
    expected = [document_tokens(text or "") or None for text in documents]
    assert [text and [word for word in text if word] for text in words_of(documents)] == expected
