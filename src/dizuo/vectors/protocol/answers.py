"""What users get: what an upsert did, what a store is, and the hits of a search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dizuo.vectors.points import Hit, Hits, Part
from dizuo.vectors.protocol.capabilities import Capabilities, EngineInfo
from dizuo.vectors.protocol.store import SearchResult
from dizuo.vectors.scores import Metric, top_k

__all__ = ["Info", "Upserted", "make_hits"]


@dataclass(frozen=True, slots=True)
class Upserted:
    """What an upsert did."""

    rows: int = 0
    """Rows that are in the store; of an id that came several times within one batch, one."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """The reason by id of rows that are not; only with `errors="collect"`."""


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


def make_hits(found: SearchResult, k: int, parts: Mapping[str, Mapping[str, Part]] | None = None) -> Hits:
    """Return the k best of what was found, best first, ties by id; with the parts of a hybrid search, by id."""
    rows, scores = found.rows, found.scores
    ids, columns = rows.ids, rows.columns
    metadata = rows.metadata
    documents = rows.documents
    vectors = rows.vectors if "vectors" in columns else None
    return Hits(
        [
            Hit(
                ids[place],
                float(scores[place]),
                metadata[place],
                documents[place],
                None if vectors is None else vectors[place],
                parts[ids[place]] if parts is not None else {},
            )
            for place in top_k(scores, ids, k)
        ],
        path=found.path,
        fetched=found.fetched,
    )
