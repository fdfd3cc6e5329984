"""Search by words that means the same on every database: one tokenizer, one BM25, one fusion.

    tokenizer.py            texts become tokens, of documents and of queries
    word_counts.py          the same for many documents at once, as columns
    word_texts.py           documents as texts of their words, for databases that cut at spaces
    bm25.py                 the formula, also as SQL for databases that keep postings in tables of their own
    packed_postings.py      postings as bytes, and their scores, for databases that keep them as values
    index.py                an index in memory
    ranking.py              scores become a ranking
    sidecar.py              an index in a file beside a database that cannot search by words, or not exactly
    sidecar_tables.py       the tables of that file
    sidecar_documents.py    of these, the documents: ids, numbers, digests, lengths
    sidecar_segments.py     of these, the postings: a segment for each write
    sidecar_upgrade.py      a file of an earlier version becomes one of today's
    sidecar_store.py        a store together with its side-car
    fusion.py               reciprocal rank fusion: the two rankings of a hybrid search become one

A document is cut into tokens, its postings are kept by the database, in memory or in the side-car, and a query is
scored by BM25 over them. `VectorStore.hybrid` fuses the ranking with that of the vectors.
"""

from __future__ import annotations

from dizuo.vectors.lexical.bm25 import K1, SQL_WEIGHT, B, idf, postings, weight
from dizuo.vectors.lexical.index import LexicalIndex
from dizuo.vectors.lexical.tokenizer import TOKENIZER, document_tokens, query_tokens

__all__ = [
    "K1",
    "SQL_WEIGHT",
    "TOKENIZER",
    "B",
    "LexicalIndex",
    "document_tokens",
    "idf",
    "postings",
    "query_tokens",
    "weight",
]
