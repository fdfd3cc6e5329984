"""Words counted in columns are those that `document_tokens` cuts."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.vectors.lexical import document_tokens
from dizuo.vectors.lexical.tokenizer import LONGEST_WORD
from dizuo.vectors.lexical.word_counts import count_words


def check(documents: list[str | None], column: pa.StringArray | None = None) -> None:
    counted = count_words(pa.array(documents, pa.string()) if column is None else column)
    found: list[dict[str, int]] = [{} for _ in documents]
    for place, word in enumerate(counted.words):
        for pair in range(counted.starts[place], counted.starts[place + 1]):
            found[counted.rows[pair]][word] = int(counted.counts[pair])
    right = [document_tokens(document or "") for document in documents]
    assert found == [Counter(tokens) for tokens in right]
    assert counted.lengths.tolist() == [len(tokens) for tokens in right]
    assert counted.words == sorted(set(counted.words), key=str.encode)
    assert counted.starts.tolist() == sorted(set(counted.starts.tolist())), "every word has a document"
    assert counted.starts[-1] == len(counted.rows) == len(counted.counts)
    assert all(
        (counted.rows[first:last][1:] > counted.rows[first:last][:-1]).all()
        for first, last in zip(counted.starts, counted.starts[1:], strict=False)
    )


@pytest.mark.parametrize(
    "documents",
    [
        [], [None], ["", None, "a"], ["red tea", "TEA, tea!"], ["ab", "cd", "", "ef"],
        ["a" * LONGEST_WORD, "b" * (LONGEST_WORD + 1), "c" * (3 * LONGEST_WORD) + " c"], ["数据库 x", "数据", "é tea"],
        ["x\0y", "_a_", "don't 3.14"], ["ＢＭ２５", "bm25", "BM25"], ["tea"] * 300,
    ],
)  # fmt: skip
def test_these_documents(documents: list[str | None]) -> None:
    check(documents)


TEXT = st.none() | st.text() | st.text(st.sampled_from("abzAZ019 ,._é数据\0\n\x7f")) | st.text("aB ", max_size=200)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=8))
def test_any_documents(documents: list[str | None]) -> None:
    check(documents)


@settings(deadline=None)
@given(st.lists(TEXT, max_size=6), st.integers(0, 4), st.integers(0, 4))
def test_a_part_of_a_column_is_as_good(documents: list[str | None], before: int, after: int) -> None:
    column = pa.array(["tea"] * before + documents + ["数据"] * after, pa.string())
    check(documents, column.slice(before, len(documents)))


def test_more_words_than_sixteen_bits_tell_apart_are_counted_too() -> None:
    counted = count_words(
        pa.array([" ".join(f"w{n:05}" for n in range(start, start + 40_000)) for start in (0, 30_000)])
    )
    assert counted.words == [f"w{n:05}" for n in range(70_000)]
    assert counted.rows.tolist() == [0] * 30_000 + [0, 1] * 10_000 + [1] * 30_000
    assert set(counted.counts.tolist()) == {1}
