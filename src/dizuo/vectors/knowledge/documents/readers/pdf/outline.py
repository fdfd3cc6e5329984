"""The outline of a PDF: which heading begins at which place of a page.

An entry of the outline leads to a page, and often not to a place on it. So its title is looked for in the text of the
page; the height that the entry gives, where it gives one, chooses among several lines or stands in for a line.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dizuo.vectors.knowledge.documents.readers.pdf.pages import PageText

__all__ = ["Entry", "Place", "place_headings", "read_outline"]

_NUMBERING = re.compile(r"\W*(?:[^\W\d_]{0,10}\W*)?(?:\d+|[ivxlcdm]+|[a-z])(?:[.\-–]\d+)*\W*", re.IGNORECASE)
"""What may stand before a title on its line: `2.1`, `Chapter 3:`, `IV.`, `§ 5`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A title in the outline."""

    level: int
    title: str
    top: float | None
    """Height on the page in points from its lower edge, or None."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a heading begins in the text of a page."""

    entry: Entry
    start: int
    end: int
    """Behind its own line or lines; the same as `start` where the title does not stand in the text."""


def read_outline(reader: Any) -> tuple[dict[int, list[Entry]], int]:
    """Return page (from 1) → its entries in the outline's order, and the number of entries that lead nowhere."""
    entries: dict[int, list[Entry]] = {}
    num_lost = 0
    try:
        items = list(_walk(reader.outline, 1))
    except Exception:  # pypdf meets a broken outline with whatever its parsers raise
        return {}, 1
    for level, item in items:
        try:
            page = reader.get_destination_page_number(item)
            title, top = str(item.title or "").strip(), item.top
        except Exception:
            page, title, top = None, "", None
        if page is None or page < 0 or not title:
            num_lost += 1
            continue
        top = float(top) if isinstance(top, int | float) and top else None
        entries.setdefault(page + 1, []).append(Entry(level, title, top))
    return entries, num_lost


def _walk(items: Sequence[Any], level: int) -> Iterator[tuple[int, Any]]:
    for item in items:
        if isinstance(item, list):
            yield from _walk(item, level + 1)
        else:
            yield level, item


def place_headings(page: PageText, entries: Sequence[Entry]) -> list[Place]:
    """Return where the headings of a page begin, in the order of the text."""
    if not entries:
        return []
    letters, offsets = _squeeze(page.text)
    places: list[Place] = []
    last = 0
    for entry in entries:
        lines = list(_find_lines(page.text, letters, offsets, _squeeze(entry.title)[0]))
        behind = [line for line in lines if line[0] >= last] or lines
        if behind and entry.top is not None and page.heights:
            top = entry.top
            start, end = min(behind, key=lambda line: abs(page.height_at(line[0]) - top))
        elif behind:
            start, end = behind[0]
        else:
            start = end = page.start_below(entry.top) if entry.top is not None and page.heights else last
        places.append(Place(entry, start, end))
        last = max(last, end)
    return sorted(places, key=lambda place: place.start)


def _squeeze(text: str) -> tuple[str, list[int]]:
    """Return a text's letters and digits alone, in lower case, with the offset of each; ligatures are taken apart."""
    letters, offsets = [], []
    for offset, sign in enumerate(text):
        for letter in unicodedata.normalize("NFKC", sign).casefold():
            if letter.isalnum():
                letters.append(letter)
                offsets.append(offset)
    return "".join(letters), offsets


def _find_lines(text: str, letters: str, offsets: Sequence[int], title: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the lines that hold the title and nothing else, but for a number before it."""
    at = letters.find(title) if title else -1
    while at >= 0:
        first, last = offsets[at], offsets[at + len(title) - 1]
        start = text.rfind("\n", 0, first) + 1
        end = text.find("\n", last)
        end = len(text) if end < 0 else end
        rest = _squeeze(text[last + 1 : end])[0]
        before = text[start:first]
        if not rest and (not _squeeze(before)[0] or (len(before) < 24 and _NUMBERING.fullmatch(before))):
            yield start, end
        at = letters.find(title, at + 1)
