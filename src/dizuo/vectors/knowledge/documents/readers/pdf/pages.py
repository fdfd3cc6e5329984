"""The text of a PDF's page, and the height at which each piece of it stands."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

__all__ = ["PageText", "count_unreadable", "read_page"]


@dataclass(frozen=True, slots=True)
class PageText:
    """What was read of one page."""

    text: str
    heights: list[tuple[int, float]] = field(default_factory=list)
    """(offset in the text, height in points from the lower edge) of each piece, in the text's order."""
    replacements: tuple[str, ...] = ()
    """What the page says its drawings mean (`ActualText`, `Alt`), whether or not that is in its text, too."""

    def height_at(self, offset: int) -> float:
        """Return the height of the piece at an offset."""
        number = bisect_right(self.heights, (offset, float("inf"))) - 1
        return self.heights[max(0, number)][1]

    def start_below(self, top: float) -> int:
        """Return where the first line that stands below a height begins; the text's end where there is none."""
        for offset, height in self.heights:
            if height <= top:
                return self.text.rfind("\n", 0, offset) + 1
        return len(self.text)


def read_page(page: Any) -> PageText:
    """Return the text of a page, as pypdf puts it together.

    Raises:
        Exception: whatever pypdf raises at a damaged page.
    """
    pieces: list[str] = []
    heights: list[tuple[int, float]] = []
    replacements: list[str] = []
    length = 0

    def take_text(text: str, outer: list[float], own: list[float], *_: object) -> None:
        nonlocal length
        if text.strip():
            lead = len(text) - len(text.lstrip())
            heights.append((length + lead, own[4] * outer[1] + own[5] * outer[3] + outer[5]))
        pieces.append(text)
        length += len(text)

    def take_operator(operator: bytes, operands: Any, *_: object) -> None:
        if operator in (b"BDC", b"DP") and len(operands) > 1 and hasattr(operands[1], "get"):
            replacements.extend(str(operands[1][key]) for key in ("/ActualText", "/Alt") if key in operands[1])

    text = page.extract_text(visitor_text=take_text, visitor_operand_before=take_operator)
    text = text.replace("\0", " ")
    # pypdf hands over the text once more in pieces; where the two are not the same, no piece has a place.
    if "".join(pieces).replace("\0", " ") != text:
        heights = []
    return PageText(text, heights, tuple(replacements))


def count_unreadable(text: str) -> int:
    """Return the number of characters that a font has without saying which they are."""
    return sum(sign == "\ufffd" or unicodedata.category(sign) == "Co" for sign in text)
