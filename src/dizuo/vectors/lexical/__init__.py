"""Lexical search that means the same on every engine: one tokenizer, one BM25.

`tokenizer.py` cuts texts, `bm25.py` states the formula (also as SQL, for engines that keep postings in their own
tables), `index.py` searches in memory, and `sidecar.py` beside a database that cannot search by words itself.
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
