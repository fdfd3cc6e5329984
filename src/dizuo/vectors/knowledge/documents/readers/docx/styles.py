"""The styles of a Word document: which paragraphs are headings or numbered, and on which level; which text is hidden.

A paragraph is a heading by its own outline level, or by that of its style, or of a style that this one is based on
(ISO/IEC 29500-1, 17.3.1.20 and 17.7.4.3). The built-in styles are known by their English names, which every edition
of Word writes into the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, child, children, is_on

__all__ = ["Styles"]

_HEADING = re.compile(r"heading ?([1-9])", re.IGNORECASE)
_BODY = 9
"""The outline level of what is no heading; 0 to 8 are those of headings."""


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    based_on: str | None
    outline: Element | None
    vanish: Element | None
    numbering: Element | None = None


class Styles:
    """The styles by their ids.

    Args:
        root: of the styles' part; None where the document has none.
    """

    def __init__(self, root: Element | None) -> None:
        self._styles: dict[str, _Style] = {}
        self._default: str | None = None
        for node in children(root, "w:style"):
            id = attribute(node, "styleId") or ""
            self._styles[id] = _Style(
                name=attribute(child(node, "w:name"), "val") or "",
                based_on=attribute(child(node, "w:basedOn"), "val"),
                outline=child(node, "w:pPr", "w:outlineLvl"),
                vanish=child(node, "w:rPr", "w:vanish"),
                numbering=child(node, "w:pPr", "w:numPr"),
            )
            if attribute(node, "type") == "paragraph" and attribute(node, "default") in ("1", "true", "on"):
                self._default = id

    def level(self, paragraph: Element) -> int | None:
        """Return the level of a heading (0 for the document's title, else from 1), or None of any other paragraph."""
        properties = child(paragraph, "w:pPr")
        own = child(properties, "w:outlineLvl")
        if own is not None:
            return _read_level(own)
        id = attribute(child(properties, "w:pStyle"), "val") or self._default
        for style in self._chain(id):
            if style.outline is not None:
                return _read_level(style.outline)
            if style.name.lower() == "title":
                return 0
            if heading := _HEADING.fullmatch(style.name):
                return int(heading[1])
        return None

    def numbering(self, paragraph: Element) -> tuple[str | None, int]:
        """Return the id of the list that a paragraph is numbered by, or None, and its level in it, from 0."""
        properties = child(paragraph, "w:pPr")
        id = attribute(child(properties, "w:pStyle"), "val") or self._default
        found: dict[str, str] = {}
        for node in (child(properties, "w:numPr"), *(style.numbering for style in self._chain(id))):
            for name in ("numId", "ilvl"):
                value = attribute(child(node, f"w:{name}"), "val")
                if value is not None:
                    found.setdefault(name, value)
        level = found.get("ilvl", "0")
        return found.get("numId"), int(level) if level.isdecimal() else 0

    def is_hidden(self, run: Element) -> bool:
        """Return whether a run is hidden text, by itself or by its character style."""
        properties = child(run, "w:rPr")
        own = child(properties, "w:vanish")
        if own is not None:
            return is_on(own)
        id = attribute(child(properties, "w:rStyle"), "val")
        return any(is_on(style.vanish) for style in self._chain(id)) if id else False

    def _chain(self, id: str | None) -> Iterator[_Style]:
        """Yield a style and those that it is based on; a style that is not in the file has its id as its name."""
        seen: set[str] = set()
        while id is not None and id not in seen:
            seen.add(id)
            style = self._styles.get(id) or _Style(id, None, None, None)
            yield style
            id = style.based_on


def _read_level(outline: Element) -> int | None:
    value = attribute(outline, "val") or ""
    level = int(value) if value.isdecimal() else _BODY
    return level + 1 if level < _BODY else None
