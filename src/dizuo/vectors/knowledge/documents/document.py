"""A document: its text, what stands where in it, and what of the file is not in it.

Positions are character offsets (Python's, code points) in `Document.text`. For plain text and Markdown that is the
file's own text, so an offset points into the file; for HTML, PDF and DOCX it is the text that the reader took out,
and page and headings lead back to the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Block", "Document", "Draft", "LeftOut"]

_PLACES = 10
"""Places that are named of one kind."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece that the document's structure keeps together: a paragraph, a heading, a table, a list, code."""

    start: int
    end: int
    headings: tuple[str, ...] = ()
    """The headings it stands under, outermost first; a heading stands under itself."""
    page: int | None = None
    """From 1, in formats that have pages."""
    is_heading: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a reader found in a file and did not read, such as the comments of a Word document."""

    kind: str
    """What they are, as a plural that stands before a count: `comments`, `pages without text`."""
    count: int
    """How many there are."""
    where: str = ""
    """Where, if the reader can tell: `pages 2–4`, or names."""
    hint: str = ""
    """What the user can do about it, as a sentence without its full stop."""

    def __str__(self) -> str:
        place = f": {self.where}" if self.where else ""
        return f"{self.kind} ({self.count:,}{place})"


@dataclass(frozen=True, slots=True)
class Document:
    """A document's text with its structure."""

    source: str
    """Its name for people and for citations, such as a path relative to the folder that was read."""
    text: str = field(repr=False)
    blocks: tuple[Block, ...] = field(default=(), repr=False)
    """In order, not overlapping; what lies between them is white space."""
    title: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """The owner's own values, kept with every chunk for filters."""
    left_out: tuple[LeftOut, ...] = ()
    """What of the file is not in the text; empty where everything was read."""

    @classmethod
    def of(cls, text: str, source: str = "text", *, metadata: Mapping[str, Any] | None = None) -> Document:
        """Return plain text as a document of one block."""
        return cls(source, text, (Block(0, len(text)),) if text else (), metadata=metadata or {})


class Draft:
    """A document while it is read: pieces of text in order, or blocks within a text that is there already.

    Args:
        text: the file's own text, where blocks point into it.
    """

    def __init__(self, text: str = "") -> None:
        self._parts = [text] if text else []
        self._length = len(text)
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._left_out: dict[str, LeftOut] = {}
        self._places: dict[str, list[str]] = {}
        self.title: str | None = None
        self.page: int | None = None

    def heading(self, level: int, title: str) -> None:
        """Say that what follows stands under a heading; it closes those of its level and below."""
        title = " ".join(title.replace("\xad", "").split())
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        if title:
            self._headings.append((level, title))
            if self.title is None:
                self.title = title

    def add(self, text: str, *, is_heading: bool = False) -> None:
        """Append a piece of text as a block of its own; white space around it goes, and so do soft hyphens.

        A soft hyphen says where a word may be broken; with it inside, a search does not find the word.
        """
        text = text.replace("\xad", "").strip()
        if not text:
            return
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        self._parts.append(text)
        self.mark(self._length, self._length + len(text), is_heading=is_heading)
        self._length += len(text)

    def mark(self, start: int, end: int, *, is_heading: bool = False) -> None:
        """Say that a stretch of the text is a block."""
        self._blocks.append(Block(start, end, tuple(title for _, title in self._headings), self.page, is_heading))

    def leave_out(self, kind: str, count: int = 1, *, where: str = "", hint: str = "") -> None:
        """Say that something of the file is not read; calls with the same kind are added up.

        Args:
            kind: a plural, such as `comments`; see `LeftOut`.
            count: how many; nothing is noted for 0.
            where: a place, such as `page 7`; the first ten of a kind are kept.
            hint: what the user can do about it; of several for one kind, the last is kept.
        """
        if not count:
            return
        known = self._left_out.get(kind, LeftOut(kind, 0))
        places = self._places.setdefault(kind, [])
        if where and where not in places and len(places) <= _PLACES:
            places.append(where if len(places) < _PLACES else "…")
        self._left_out[kind] = LeftOut(kind, known.count + count, ", ".join(places), hint or known.hint)

    def finish(self, source: str) -> Document:
        """Return the document."""
        return Document(
            source, "".join(self._parts), tuple(self._blocks), self.title, left_out=tuple(self._left_out.values())
        )
