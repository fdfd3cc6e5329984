"""What users get: what an upsert did, what a store is, and the hits of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dizuo.vectors.points import Hit, Hits, Parts
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.store import SearchResult
from dizuo.vectors.scores import Metric, top_k

__all__ = ["Info", "Upserted", "make_hits"]


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert did."""

    rows: int = 0
    """Rows that are in the store. An id that came several times within one batch counts once."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Why the other rows are not, by id; only with `errors="collect"`."""


@dataclass(frozen=True, slots=True)
class Info:
    """What there is to know of a store."""

    url: str
    collection: str
    namespace: str
    dim: int
    metric: Metric
    count: int
    """Rows of this namespace."""
    namespaces: Mapping[str, int]
    engine: EngineInfo
    capabilities: Capabilities


def make_hits(result: SearchResult, k: int, parts: Parts | None = None) -> Hits:
    """Return the k best rows as hits, best first, ties by id; `parts` are those of a hybrid search, by id."""
    rows, scores = result.rows, result.scores
    ids, columns = rows.ids, rows.columns
    metadata = rows.metadata
    documents = rows.documents
    vectors = rows.vectors if "vectors" in columns else None
    return Hits(
        [
            Hit(
                ids[row],
                float(scores[row]),
                metadata[row],
                documents[row],
                None if vectors is None else vectors[row],
                parts[ids[row]] if parts is not None else {},
            )
            for row in top_k(scores, ids, k)
        ],
        path=result.path,
        fetched=result.fetched,
    )
