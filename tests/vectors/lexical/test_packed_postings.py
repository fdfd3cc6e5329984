"""Packed postings give the scores of the index in memory, whatever was written before and is gone."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.vectors.lexical import LexicalIndex, query_tokens
from dizuo.vectors.lexical.packed_postings import BIG_ENDIAN, COUNT_BITS, LITTLE_ENDIAN, numbers_of, pack, pages, score
from dizuo.vectors.lexical.word_counts import count_words

TEXTS = st.lists(st.text("ab 茶", max_size=12), min_size=1, max_size=12)


@pytest.mark.parametrize("dtype", [LITTLE_ENDIAN, BIG_ENDIAN], ids=["little", "big"])
@settings(deadline=None)
@given(texts=TEXTS, gone=st.sets(st.integers(0, 11)), query=st.text("ab 茶", max_size=6))
def test_scores_are_those_of_an_index_of_what_is_left(
    dtype: np.dtype[np.void], texts: list[str], gone: set[int], query: str
) -> None:
    counted = count_words(pa.array(texts, pa.string()))
    numbers = 7 + 3 * np.arange(len(texts))
    packed = pack(counted, numbers, dtype)
    by_word = {word: packed[counted.starts[n] : counted.starts[n + 1]] for n, word in enumerate(counted.words)}
    index = LexicalIndex()
    for n, text in enumerate(texts):
        index.upsert(f"{numbers[n]:03}", None if n in gone else text)
    left = sum(int(length) for n, length in enumerate(counted.lengths) if n not in gone)
    ended = np.array([numbers[n] for n in gone if n < len(texts)], np.int64)
    held = [by_word.get(token, packed[:0]) for token in query_tokens(query)]
    found, scores = score(held, ended, documents=len(index), tokens=left)
    ours = {f"{number:03}": round(value, 9) for number, value in zip(found.tolist(), scores.tolist(), strict=True)}
    assert ours == {id: round(value, 9) for id, value in index.search(query, k=99)}


def test_numbers_of_forty_bits_and_counts_beyond_their_bits_are_held() -> None:
    counted = count_words(pa.array(["a a b"]))
    counted.counts[0] = 2**COUNT_BITS + 5
    packed = pack(counted, np.array([2**40 - 1]), BIG_ENDIAN)
    assert numbers_of(packed).tolist() == [2**40 - 1] * 2
    assert (packed["key"] & (2**COUNT_BITS - 1)).tolist() == [2**COUNT_BITS - 1, 1]
    assert packed["length"].tolist() == [3, 3]


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(0, 5))
def test_pages_hold_every_place_once_best_first_and_equal_scores_together(values: list[int], first: int) -> None:
    scores = np.array(values, np.float64)
    held = [scores[places].tolist() for places in pages(scores, first)]
    assert sorted(place for places in pages(scores, first) for place in places.tolist()) == list(range(len(values)))
    assert [value for page in held for value in page] == sorted(values, reverse=True)
    assert not any(set(page) & set(later) for n, page in enumerate(held) for later in held[n + 1 :])
    assert all(len(page) >= first for page in held[:-1])
