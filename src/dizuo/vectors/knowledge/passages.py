"""Passages: chunks of documents become records of a database, and records that are found become passages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dizuo.vectors.knowledge.documents import Chunk, Document
from dizuo.vectors.points import Floats, Hit, Part, Point

__all__ = ["RESERVED", "Passage", "hash_source", "hash_version", "make_id", "make_passage", "make_point"]

RESERVED = ("source", "title", "start", "end", "page", "headings", "chunk", "version")
"""Keys of a chunk's metadata that are ours."""


@dataclass(frozen=True, slots=True)
class Passage:
    """An answer, with the place it was found at."""

    text: str
    score: float
    source: str
    start: int
    end: int
    title: str | None = None
    page: int | None = None
    headings: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Part] = field(default_factory=dict)
    id: str = ""

    @property
    def citation(self) -> str:
        """Where it stands, for people: `handbook.pdf, page 3, Rules › Leave, characters 120–480`."""
        parts = [self.source]
        if self.page is not None:
            parts.append(f"page {self.page}")
        if self.headings:
            parts.append(" › ".join(self.headings))
        return ", ".join([*parts, f"characters {self.start:,}–{self.end:,}"])


def _chunk_metadata(document: Document, chunk: Chunk, number: int, version: str) -> dict[str, Any]:
    facts = {
        "source": document.source, "title": document.title, "start": chunk.start, "end": chunk.end,
        "page": chunk.page, "headings": list(chunk.headings), "chunk": number,
        "version": hash_version(document.source, version),
    }  # fmt: skip
    return {**document.metadata, **{key: item for key, item in facts.items() if item is not None}}


def make_point(document: Document, chunk: Chunk, number: int, version: str, vector: Floats) -> Point:
    """Return a chunk as a record.

    Args:
        document: that it is of.
        chunk: itself.
        number: of the chunk in the document, from 0.
        version: the document's fingerprint.
        vector: of the chunk's text.
    """
    return Point(
        make_id(document.source, number), vector, _chunk_metadata(document, chunk, number, version), chunk.text
    )


def make_id(source: str, number: int) -> str:
    """Return the id of a document's chunk."""
    return f"{hash_source(source)}-{number:06d}"


def make_passage(hit: Hit, score: float) -> Passage:
    """Return what was found as a passage."""
    row = dict(hit.metadata)
    own = {key: row.pop(key, None) for key in RESERVED}
    return Passage(
        text=hit.document or "", score=score, source=own["source"], start=own["start"], end=own["end"],
        title=own["title"], page=own["page"], headings=tuple(own["headings"] or ()), metadata=row, parts=hit.parts,
        id=hit.id,
    )  # fmt: skip


def hash_source(source: str) -> str:
    """Return what the ids of a document's records begin with."""
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def hash_version(source: str, fingerprint: str) -> str:
    """Return what all chunks of one state of a document share, and no chunk of another document, even of equal text."""
    return hashlib.sha256(f"{fingerprint} {source}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
