"""Automatic numbers of paragraphs: `2.1`, `(a)`, `Article IV.`, which Word shows and does not keep as text.

A paragraph names a list and a level in it, by itself or by its style; the list says what its numbers look like, and
they are counted in the order of the text (ISO/IEC 29500-1, 17.9).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, child, children, is_on
from dizuo.vectors.knowledge.documents.readers.docx.styles import Styles

__all__ = ["Numbering"]

_PLACE = re.compile("%([1-9])")
_MOST = 9
"""Levels of a list."""


@dataclass(frozen=True, slots=True)
class _Level:
    start: int = 1
    form: str = "decimal"
    text: str = ""
    restart: int | None = None
    """The level (from 1) whose next number begins this one anew; None is every level above, 0 is none."""
    is_legal: bool = False
    """Whether the numbers of the levels above are shown as decimals, too."""


@dataclass(slots=True)
class _List:
    levels: dict[int, _Level] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    """Level → its latest number."""


class Numbering:
    """Counts the numbered paragraphs of a document.

    Args:
        root: of the numbering part; None where the document has none.
        styles: by which paragraphs are numbered, too.
    """

    def __init__(self, root: Element | None, styles: Styles) -> None:
        self._styles = styles
        self._lists: dict[str, _List] = {}
        self._used: dict[str, _List] = {}
        self._first_uses: dict[str, dict[int, int]] = {}
        links: dict[str, str] = {}
        by_style: dict[str, str] = {}
        for node in children(root, "w:abstractNum"):
            id = attribute(node, "abstractNumId") or ""
            self._lists[id] = _List({_number(level, "ilvl"): _read_level(level) for level in children(node, "w:lvl")})
            if link := attribute(child(node, "w:numStyleLink"), "val"):
                links[id] = link
            if style := attribute(child(node, "w:styleLink"), "val"):
                by_style[style] = id
        for node in children(root, "w:num"):
            id, abstract = attribute(node, "numId") or "", attribute(child(node, "w:abstractNumId"), "val") or ""
            held = self._lists.get(by_style.get(links.get(abstract, ""), abstract))
            if held is not None:
                self._use(id, held, node)

    def _use(self, id: str, held: _List, node: Element) -> None:
        """Take in a use of a list, which may start anew and have levels of its own."""
        overrides = {_number(one, "ilvl"): one for one in children(node, "w:lvlOverride")}
        own = {
            level: _read_level(inner) for level, one in overrides.items() if (inner := child(one, "w:lvl")) is not None
        }
        self._used[id] = _List({**held.levels, **own}, held.counts) if own else held
        starts = {level: attribute(child(one, "w:startOverride"), "val") for level, one in overrides.items()}
        self._first_uses[id] = {level: int(start) for level, start in starts.items() if start and start.isdecimal()}

    def count(self, paragraph: Element) -> str:
        """Count a paragraph, and return its number as Word shows it; empty for bullets and where there is none."""
        id, given = self._styles.numbering(paragraph)
        used = self._used.get(id or "")
        if used is None:
            return ""
        number = min(given, _MOST - 1)
        level = used.levels.get(number, _Level())
        starts = self._first_uses.get(id or "", {})
        if number in starts:
            used.counts[number] = starts.pop(number)
        else:
            used.counts[number] = used.counts.get(number, level.start - 1) + 1
        for below in [one for one in used.counts if one > number]:
            restart = used.levels.get(below, _Level()).restart
            if restart is None or 0 < number + 1 <= restart:
                del used.counts[below]
        if level.form in ("bullet", "none"):
            return ""

        def show(place: re.Match[str]) -> str:
            other = int(place[1]) - 1
            shown = used.levels.get(other, _Level())
            form = "decimal" if level.is_legal else shown.form
            return _format(used.counts.get(other, shown.start), form)

        return _PLACE.sub(show, level.text).strip()


def _read_level(node: Element) -> _Level:
    form = child(node, "w:numFmt")
    restart = attribute(child(node, "w:lvlRestart"), "val")
    return _Level(
        start=_number(child(node, "w:start"), "val"),  # 0 where it is not given (17.9.25)
        form=attribute(form, "val") or "decimal",
        text=attribute(child(node, "w:lvlText"), "val") or "",
        restart=int(restart) if restart and restart.isdecimal() else None,
        is_legal=is_on(child(node, "w:isLgl")),
    )


def _number(node: Element | None, name: str, default: int = 0) -> int:
    value = attribute(node, name) or ""
    return int(value) if value.isdecimal() else default


def _format(number: int, form: str) -> str:
    """Return a number in one of Word's forms; those that are not known are decimal."""
    shape = _FORMS.get(form)
    return shape(number) if shape is not None and 0 < number < 4000 else str(number)


def _as_letters(number: int) -> str:
    """Return a, b, …, z, aa, bb, …"""
    return chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)


def _as_roman(number: int) -> str:
    signs = zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    )
    text = ""
    for value, sign in signs:
        text += sign * (number // value)
        number %= value
    return text


def _as_chinese(number: int) -> str:
    """Return 一, 十, 二十一; from a hundred on in digits."""
    digits = "〇一二三四五六七八九"
    if number > 99:
        return "".join(digits[int(digit)] for digit in str(number))
    tens, ones = divmod(number, 10)
    return (digits[tens] if tens > 1 else "") + ("十" if tens else "") + (digits[ones] if ones else "")


def _as_ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


_FORMS: dict[str, Callable[[int], str]] = {
    "lowerLetter": _as_letters,
    "upperLetter": lambda number: _as_letters(number).upper(),
    "lowerRoman": _as_roman,
    "upperRoman": lambda number: _as_roman(number).upper(),
    "decimalZero": lambda number: f"{number:02}",
    "ordinal": _as_ordinal,
    **dict.fromkeys(
        (
            "chineseCounting", "chineseCountingThousand", "ideographDigital", "japaneseCounting",
            "japaneseDigitalTenThousand", "taiwaneseCounting", "taiwaneseCountingThousand", "taiwaneseDigital",
        ),
        _as_chinese,
    ),
}  # fmt: skip
