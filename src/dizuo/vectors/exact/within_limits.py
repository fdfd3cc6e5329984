"""A store's answers to filters that are beyond its database's limits, put together from answers that are within them.

`VectorStore` asks every store through this. A filter within the limits goes to the store as it is. One beyond them
goes in parts (`filters/fitting.py`): no record matches two, so counts are added and hits merged. A part that is wider
than what it stands for is scanned, and the metadata of what it finds is compared here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dizuo.vectors.exact.scan import filter_blocks, find_nearest
from dizuo.vectors.filters.fitting import FilterPart, fit
from dizuo.vectors.filters.matching import matcher
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.points import Block, Floats
from dizuo.vectors.protocol.store import Columns, SearchResult, Store
from dizuo.vectors.scores import top_k

__all__ = ["WithinLimits"]

METADATA: Columns = frozenset({"metadata"})
ROWS = 5000
"""Rows of a block where records are read to be compared."""


class WithinLimits:
    """The calls of a store that take a filter; `dizuo.vectors.protocol.store.Store` says what they do.

    Args:
        store: whose `capabilities.filters` are the limits.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def search(
        self, namespace: str, queries: Floats, *, k: int, where: Filter | None, exact: bool, columns: Columns
    ) -> list[SearchResult]:
        if (parts := self._parts(where)) is None:
            return self.store.search(namespace, queries, k=k, where=where, exact=exact, columns=columns)
        found = []
        for part in parts:
            if part.exact:
                chosen = part.filter
                found.append(self.store.search(namespace, queries, k=k, where=chosen, exact=exact, columns=columns))
            else:
                needed = columns | {"vectors", "metadata"}
                blocks = self.store.scan(namespace, where=part.filter, columns=needed, rows=ROWS)
                metric = self.store.spec.metric
                found.append(find_nearest(blocks, queries, k=k, metric=metric, columns=columns, where=where))
        return [_merge(results, k) for results in zip(*found, strict=True)]

    def lexical(self, namespace: str, query: str, *, k: int, where: Filter | None) -> SearchResult:
        if where is None or (parts := self._parts(where)) is None:
            return self.store.lexical(namespace, query, k=k, where=where)
        found = []
        for part in parts:
            if part.exact:
                found.append(self.store.lexical(namespace, query, k=k, where=part.filter))
            else:
                found.append(self._find_words(namespace, query, k, part.filter, where))
        return _merge(found, k)

    def _find_words(self, namespace: str, query: str, k: int, wide: Filter, where: Filter) -> SearchResult:
        """Return the k best that match `where`, of ever more that match the wider filter."""
        matches = matcher(where)
        asked, allowed, fetched = 4 * k, set[str](), 0
        seen: set[str] = set()
        while True:
            result = self.store.lexical(namespace, query, k=asked, where=wide)
            ids = result.rows.ids
            new = [id for id in ids if id not in seen]
            for start in range(0, len(new), self.store.batch_rows):
                block = self.store.fetch(namespace, new[start : start + self.store.batch_rows], columns=METADATA)
                fetched += len(block)
                allowed |= {id for id, row in zip(block.ids, block.metadata, strict=True) if matches(row)}
            seen |= set(new)
            kept = [row for row, id in enumerate(ids) if id in allowed]
            if len(kept) >= k or len(ids) < asked:
                return SearchResult(result.rows.take(kept), result.scores[kept], result.path, fetched)
            asked *= 4

    def scan(self, namespace: str | None, *, where: Filter | None, columns: Columns, rows: int) -> Iterator[Block]:
        parts = self._parts(where)
        if parts is None:
            yield from self.store.scan(namespace, where=where, columns=columns, rows=rows)
            return
        for part in parts:
            if part.exact:
                yield from self.store.scan(namespace, where=part.filter, columns=columns, rows=rows)
            else:
                blocks = self.store.scan(namespace, where=part.filter, columns=columns | METADATA, rows=rows)
                yield from (block.only(columns) for block in filter_blocks(blocks, where))

    def count(self, namespace: str | None, *, where: Filter | None) -> int:
        if (parts := self._parts(where)) is None:
            return self.store.count(namespace, where=where)
        return sum(
            self.store.count(namespace, where=part.filter)
            if part.exact
            else sum(len(block) for block in self._matching(namespace, part.filter, where))
            for part in parts
        )

    def delete(self, namespace: str, *, ids: Sequence[str] | None, where: Filter | None) -> int:
        if ids is not None or (parts := self._parts(where)) is None:
            return self.store.delete(namespace, ids=ids, where=where)
        removed = 0
        for part in parts:
            if part.exact:
                removed += self.store.delete(namespace, ids=None, where=part.filter)
                continue
            # All are read before the first is removed: a removal may move what is read next.
            found = [id for block in self._matching(namespace, part.filter, where) for id in block.ids]
            for start in range(0, len(found), self.store.batch_rows):
                removed += self.store.delete(namespace, ids=found[start : start + self.store.batch_rows], where=None)
        return removed

    def _parts(self, where: Filter | None) -> list[FilterPart] | None:
        """Return the parts of a filter that is beyond the limits; None for one that is within them."""
        if where is None:
            return None
        parts = fit(where, self.store.capabilities.filters)
        return None if len(parts) == 1 and parts[0].exact and parts[0].filter is where else parts

    def _matching(self, namespace: str | None, wide: Filter, where: Filter | None) -> Iterator[Block]:
        return filter_blocks(self.store.scan(namespace, where=wide, columns=METADATA, rows=ROWS), where)


def _merge(results: Sequence[SearchResult], k: int) -> SearchResult:
    """Return the k best of several answers to one query, of which no record is in two."""
    scores = np.concatenate([result.scores for result in results])
    ids = [id for result in results for id in result.rows.ids]
    best = top_k(scores, ids, k)
    indexed = any(result.path == "index" for result in results)
    fetched = sum(result.fetched for result in results)
    rows = _join([result.rows for result in results]).take(best)
    return SearchResult(rows, scores[best], "index" if indexed else "exact", fetched)


def _join(blocks: Sequence[Block]) -> Block:
    blocks = [block for block in blocks if len(block)] or blocks[:1]
    columns = blocks[0].columns
    return Block(
        [id for block in blocks for id in block.ids],
        np.concatenate([block.vectors for block in blocks]) if "vectors" in columns else None,
        [text for block in blocks for text in block.metadata_texts] if "metadata" in columns else None,
        [text for block in blocks for text in block.documents] if "documents" in columns else None,
    )
