"""Postings packed as bytes, for databases that keep them as one value for each token of a write.

A posting is 12 bytes: the number of a document (40 bits), how often it has the token (24), its length in tokens (32).
A text gets a new number whenever it is written. So the old postings of a document that is replaced or removed need not
be looked for: its number is noted as gone, and whoever reads postings leaves those out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.vectors.lexical.bm25 import K1, B, idf
from dizuo.vectors.lexical.word_counts import WordCounts

__all__ = ["BIG_ENDIAN", "COUNT_BITS", "LITTLE_ENDIAN", "numbers_of", "pack", "pages", "score"]

COUNT_BITS = 24
LITTLE_ENDIAN = np.dtype([("key", "<u8"), ("length", "<u4")])
BIG_ENDIAN = np.dtype([("key", ">u8"), ("length", ">u4")])
"""As PostgreSQL itself writes integers."""
_MOST = 2**COUNT_BITS - 1
"""Occurrences of a token in one document that are counted."""


def pack(counted: WordCounts, numbers: NDArray[np.int64], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Return the postings [p] of documents; those of each word begin where `counted.starts` says.

    Args:
        counted: the words of n documents.
        numbers: of the documents, [n].
        dtype: `LITTLE_ENDIAN` or `BIG_ENDIAN`.
    """
    postings = np.empty(len(counted.rows), dtype)
    postings["key"] = numbers[counted.rows] << COUNT_BITS | np.minimum(counted.counts, _MOST)
    postings["length"] = counted.lengths[counted.rows]
    return postings


def numbers_of(postings: NDArray[np.void]) -> NDArray[np.int64]:
    """Return the documents of postings, by number."""
    return (postings["key"] >> COUNT_BITS).astype(np.int64)


def score(
    held: Sequence[NDArray[np.void]], gone: NDArray[np.int64], *, documents: int, tokens: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers and scores of all documents that have one of the tokens of a query.

    Args:
        held: the postings of each token, in the order of the tokens.
        gone: numbers of documents that are not there any more.
        documents: N, documents of the namespace that have at least one token.
        tokens: of these documents, together.
    """
    found, shares = [], []
    for postings in held:
        numbers = numbers_of(postings)
        if len(gone):
            living = ~np.isin(numbers, gone)
            postings, numbers = postings[living], numbers[living]
        if not len(postings):
            continue
        count = (postings["key"] & _MOST).astype(np.float64)
        norm = K1 * (1 - B) + K1 * B / (tokens / documents) * postings["length"]
        found.append(numbers)
        shares.append(idf(documents, len(postings)) * (K1 + 1) * count / (count + norm))
    if not found:
        return np.empty(0, np.int64), np.empty(0)
    unique, inverse = np.unique(np.concatenate(found), return_inverse=True)
    # Shares are added in the order of the tokens, so equal documents get equal sums.
    return unique, np.bincount(inverse, np.concatenate(shares), len(unique)).astype(np.float64)


def pages(scores: NDArray[np.float64], first: int) -> Iterator[NDArray[np.intp]]:
    """Yield places of scores, the highest first, in pages that grow; equal scores are in one page.

    Args:
        scores: of documents.
        first: how many the first page has, at least.
    """
    order = np.argsort(-scores, kind="stable")
    start, page = 0, max(1, first)
    while start < len(order):
        stop = min(start + page, len(order))
        # Documents of equal score are sorted by their ids, which the caller reads page by page.
        while stop < len(order) and scores[order[stop]] == scores[order[stop - 1]]:
            stop += 1
        yield order[start:stop]
        start, page = stop, min(4 * page, 10_000)
