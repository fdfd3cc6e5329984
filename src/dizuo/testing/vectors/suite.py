"""All areas of the conformance suite in one class."""

from __future__ import annotations

from dizuo.testing.vectors.areas.batches import Batches
from dizuo.testing.vectors.areas.faults import Faults
from dizuo.testing.vectors.areas.filtering import Filters
from dizuo.testing.vectors.areas.handles import Handles
from dizuo.testing.vectors.areas.hybrid import Hybrid
from dizuo.testing.vectors.areas.limits import Limits
from dizuo.testing.vectors.areas.namespaces import Namespaces
from dizuo.testing.vectors.areas.processes import Processes
from dizuo.testing.vectors.areas.refusals import Refusals
from dizuo.testing.vectors.areas.roundtrips import RoundTrips
from dizuo.testing.vectors.areas.scans import Scans
from dizuo.testing.vectors.areas.scores import Scores
from dizuo.testing.vectors.areas.selectivity import Selectivity
from dizuo.testing.vectors.areas.upkeep import Upkeep
from dizuo.testing.vectors.areas.words import Words
from dizuo.testing.vectors.areas.writing import Writing

__all__ = ["AREAS", "VectorStoreSuite"]

AREAS: dict[str, str] = {
    "Scores": "scores equal the oracle's, ties by id",
    "Filters": "every filter means the same",
    "Selectivity": "k means k",
    "Writing": "upsert, update, delete",
    "RoundTrips": "bit for bit",
    "Namespaces": "isolation, names",
    "Batches": "streams, visibility, per-row errors",
    "Hybrid": "BM25 and RRF",
    "Words": "words after any history",
    "Scans": "scan and Arrow",
    "Refusals": "wrong vectors and values",
    "Limits": "past what engines allow",
    "Upkeep": "info, optimize",
    "Handles": "dropped and made anew under a handle",
    "Processes": "writers, restart, kill -9",
    "Faults": "server missing, denied, killed",
}
"""The areas in the order of the table, by class."""


class VectorStoreSuite(
    Scores,
    Filters,
    Selectivity,
    Writing,
    RoundTrips,
    Namespaces,
    Batches,
    Hybrid,
    Words,
    Scans,
    Refusals,
    Limits,
    Upkeep,
    Handles,
    Processes,
    Faults,
):
    """Subclass it with a `url` fixture; see `dizuo.testing.vectors`."""
