"""What a database can do, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dizuo.vectors.filters.fitting import NO_LIMITS, FilterLimits
from dizuo.vectors.points import JSON
from dizuo.vectors.scores import METRICS, Metric

__all__ = ["OPERATORS", "Capabilities", "EngineInfo"]

OPERATORS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "exists", "contains", "startswith"})
"""All operators of filters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a database can do. The conformance suite skips what is lacking here, and the table in the docs says so."""

    persistent: bool = True
    """Data outlives the process, and other processes see it."""
    several_writers: bool = True
    """Several processes may write at once."""
    durable: bool = True
    """What was visible survives `kill -9` of the client (of the process, where the database is embedded)."""
    atomic_batches: bool = False
    """A batch is in as a whole or not at all, also when the client is killed."""
    threads: bool = False
    """Calls may come from several threads at once; otherwise `VectorStore` lets one in at a time."""
    metrics: tuple[Metric, ...] = METRICS
    max_dim: int | None = None
    """Most numbers in a vector; None is no limit."""
    operators: frozenset[str] = OPERATORS
    """Operators of filters that it answers."""
    filters: FilterLimits = NO_LIMITS
    """What one filter may have at most; a larger one comes in parts."""
    index: bool = True
    """Has an approximate index that `optimize(force_index=True)` builds."""
    lexical: Literal["own", "portable", "side-car", "none"] = "none"
    """Where BM25 is computed: by the database itself (`own`), by dizuo over postings in the same database
    (`portable`), by dizuo in a file beside it (`side-car`), or nowhere. A store with `none` gets a `side-car` where
    `connect(…, lexical=PATH)` names a folder for it, and so does one whose `words` are those of the engine."""
    words: Literal["exact", "engine"] = "exact"
    """How a search by words counts. `exact`: documents, lengths and frequencies are those of the living documents of
    the namespace, at every moment, and scores equal those of `memory://`. `engine`: they are the engine's, and
    `notes["words"]` says what its statistics cover and what it rounds. Of no meaning where `lexical` is `none`."""
    words_cover: Literal["namespace", "collection"] = "namespace"
    """Whose documents count in a search by words: those of its namespace, or of all namespaces, so that scores in one
    depend on what the others hold, and tell of it."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Reasons for what is lacking, by field name, for the table in the docs."""

    def __post_init__(self) -> None:
        assert self.words == "exact" or "words" in self.notes, 'words="engine" says in notes["words"] what they count'


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a database says of itself and of the collection."""

    engine: str
    """Name, as in `PostgreSQL with pgvector`."""
    version: str
    index: str
    """Kind of the vector index, as in `hnsw`, or `none`."""
    indexed_rows: int = 0
    """Rows that the index covers now."""
    where: str = ""
    """Physical name of the table or index, or the path."""
    details: Mapping[str, JSON] = field(default_factory=dict)
    """Further facts worth a line, such as index parameters or bytes on disk."""
