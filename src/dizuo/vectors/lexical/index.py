"""A BM25 index in memory, of one namespace, made of plain dictionaries. `memory://` searches by it.

>>> index = LexicalIndex()
>>> index.upsert("a", "数据库检索")
>>> index.upsert("b", "tuning a database")
>>> [id for id, score in index.search("检索", k=10)]
['a']
"""

from __future__ import annotations

from collections.abc import Container

from dizuo.vectors.lexical.bm25 import add_shares, idf, postings
from dizuo.vectors.lexical.ranking import best
from dizuo.vectors.lexical.tokenizer import query_tokens

__all__ = ["LexicalIndex"]


class LexicalIndex:
    """The documents of one namespace by id, searched by BM25 (`bm25.py`)."""

    def __init__(self) -> None:
        self._postings: dict[str, dict[str, tuple[str, int, int]]] = {}  # token → id → (id, tf, dl)
        self._documents: dict[str, tuple[tuple[str, ...], int]] = {}  # id → its distinct tokens, its length
        self._total = 0

    def __len__(self) -> int:
        """Return N, the number of documents with at least one token."""
        return len(self._documents)

    @property
    def average_length(self) -> float:
        """The mean number of tokens of a document; 0.0 where there is none."""
        return self._total / len(self._documents) if self._documents else 0.0

    def matching(self, token: str) -> int:
        """Return n, how many documents contain a token."""
        return len(self._postings.get(token, ()))

    def upsert(self, id: str, text: str | None) -> None:
        """Replace the text of a document; None or a text without tokens removes it."""
        self.delete(id)
        counts, length = postings(text or "")
        if not length:
            return
        for token, count in counts.items():
            self._postings.setdefault(token, {})[id] = (id, count, length)
        self._documents[id] = (tuple(counts), length)
        self._total += length

    def delete(self, id: str) -> bool:
        """Remove a document; return whether it was there."""
        tokens, length = self._documents.pop(id, ((), 0))
        for token in tokens:
            held = self._postings[token]
            del held[id]
            if not held:
                del self._postings[token]
        self._total -= length
        return bool(tokens)

    def search(self, query: str, *, k: int, allowed: Container[str] | None = None) -> list[tuple[str, float]]:
        """Return (id, score) of the k best documents that share a token with the query, best first, ties by id.

        Args:
            query: any text.
            k: how many; fewer come back only if fewer match.
            allowed: the ids that may come back, such as those that match a filter. The statistics stay those of the
                whole index.
        """
        documents, average = len(self._documents), self.average_length
        scores: dict[str, float] = {}
        for token in query_tokens(query):
            held = self._postings.get(token)
            if not held:
                continue
            rows = held.values() if allowed is None else [row for id, row in held.items() if id in allowed]
            add_shares(scores, rows, idf(documents, len(held)), average)
        return best(scores, k)
