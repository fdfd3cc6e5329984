"""BM25 as every store of ours computes it: constants, formula, and the same formula as a SQL expression.

    score(q, d) = Σ over distinct query tokens t of  idf(t) · tf · (k1 + 1) / (tf + k1 · (1 − b + b · dl / avgdl))
    idf(t)      = ln(1 + (N − n + ½) / (n + ½))

    tf      occurrences of t in the document        N      documents of the namespace that have at least one token
    dl      tokens of the document                  n      those among them that contain t
    avgdl   mean dl over the N documents            k1, b  1.2, 0.75

Robertson & Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and Beyond", section 3.5, with Lucene's idf,
which is never negative. (The original one is, for n > N/2. SQLite FTS5 clamps it to 1e-6 instead, and counts N over
the whole table, whatever the namespace; so its bm25() is not used here.) The factor k1 + 1 is kept, as in Redis's
BM25STD, LanceDB and Milvus; Lucene since 8.0 leaves it out, which changes no order.

N, n and avgdl are those of the whole namespace, also when a filter is given. A document that shares no token with the
query is no hit.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from dizuo.vectors.lexical.tokenizer import document_tokens

__all__ = ["K1", "SQL_WEIGHT", "B", "add_shares", "idf", "postings", "weight"]

Key = TypeVar("Key")

K1 = 1.2
"""How soon repetitions of a token stop to count; larger is later."""
B = 0.75
"""How much the length of a document lowers its score, 0 to 1."""

SQL_WEIGHT = (
    "(ln(1.0 + ({documents} - {matching} + 0.5) / ({matching} + 0.5))"
    f" * {{count}} * {K1 + 1} / ({{count}} + {K1} * ({1 - B} + {B} * {{length}} / {{average}})))"
)
"""One token's share of the score, for PostgreSQL, ClickHouse and others: `SQL_WEIGHT.format(documents="28",
matching="t.matching", count="p.count", length="d.length", average="61.5")`, to be summed by document. Give N and avgdl
as float literals or columns; counts may be integers. The order of a parallel sum varies in its last bits: order by
`round(sum, 9) DESC, id` so that equal documents stay in the order of their ids."""


def idf(documents: int, matching: int) -> float:
    """Return the idf of a token, ln(1 + (N − n + ½) / (n + ½)): the rarer, the larger.

    Args:
        documents: N, documents with at least one token.
        matching: n, those that contain the token; 0 ≤ n ≤ N.
    """
    return math.log(1.0 + (documents - matching + 0.5) / (matching + 0.5))


def weight(idf: float, count: int, length: int, average: float) -> float:
    """Return one token's share of a document's score.

    Args:
        idf: from `idf`.
        count: tf, occurrences in the document, at least 1.
        length: dl, tokens of the document.
        average: avgdl, mean tokens of a document.
    """
    return idf * count * (K1 + 1) / (count + K1 * (1 - B + B * length / average))


def add_shares(scores: dict[Key, float], rows: Iterable[tuple[Key, int, int]], idf: float, average: float) -> None:
    """Add one token's share (`weight`) to the score of every document that contains it.

    Args:
        scores: the score so far, by document; changed in place.
        rows: (document, tf, dl).
        idf: from `idf`.
        average: avgdl.
    """
    top, base, slope = idf * (K1 + 1), K1 * (1 - B), K1 * B / average
    known = scores.get
    for key, count, length in rows:
        scores[key] = known(key, 0.0) + top * count / (count + base + slope * length)


def postings(text: str) -> tuple[dict[str, int], int]:
    """Return the occurrences of every token in a document, and the document's length in tokens."""
    tokens = document_tokens(text)
    return Counter(tokens), len(tokens)
