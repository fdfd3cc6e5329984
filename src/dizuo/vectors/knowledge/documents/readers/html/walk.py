"""`Walk` goes through a page's tree without recursion, and gathers text until a block ends.

A row of a table is one block, whatever stands in its cells: a value belongs to its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers.html.elements import (
    BLOCKS,
    LAYOUT,
    LEFT_OUT,
    PREFORMATTED,
    SHOWN_VALUES,
    SILENT,
)
from dizuo.vectors.knowledge.documents.readers.html.formulas import arrange_formula
from dizuo.vectors.knowledge.documents.tables import Table

__all__ = ["Walk"]

_HEADING = re.compile(r"h([1-6])")
_SPACE = re.compile(r"[ \t\r\n\f]+")
_NOT_SHOWN = re.compile(r"display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)", re.IGNORECASE)
_TEMPLATE_TAG = re.compile(r"""^<template(?:[ ][^ =>"]+(?:="[^"]*")?)*>|</template>$""")
"""Its tags as Lexbor writes them. The content of a template is no part of the tree, and is parsed by itself."""
_ANNOTATIONS = ("annotation", "annotation-xml")
_MEDIA = ("audio", "video", "object", "embed", "applet", "canvas")
_TOOLTIPS = ("title", "aria-label", "aria-description", "summary")


class Walk:
    """Fills a draft with the text of a page.

    Args:
        draft: takes the text, and the count of what is not read.
        parse: an HTML text → the body of its tree, for pages within a page.
    """

    def __init__(self, draft: Draft, parse: Callable[[str], Any]) -> None:
        self._draft = draft
        self._parse = parse
        self._parts: list[str] = []
        self._preformatted = 0
        self._tables: list[Table | None] = []
        """The tables around this place; None for one that is a layout."""
        self._rows: list[bool] = []
        """Of the rows around this place: whether they are read as one line."""
        self._outside: list[list[str]] = []
        """Texts around the cells and readings (ruby) that this place is in."""
        self._readings: list[list[str]] = []
        self.tooltips: list[str] = []
        """Texts that show when something is pointed at."""
        self._not_chosen: set[int] = set()
        """The options of the list that this place is in, but for the chosen one."""
        self._in_choice = False

    def run(self, root: Any) -> None:
        """Read everything below a node."""
        stack: list[tuple[Any, bool]] = [(root, True)]
        while stack:
            node, opening = stack.pop()
            if isinstance(node, str):
                self._parts.append(node)
                continue
            tag = node.tag
            if tag == "-text":
                text = node.text_content or ""
                self._parts.append(text if self._preformatted else _SPACE.sub(" ", text))
            elif not opening:
                self._close(node, tag)
            elif tag and not tag.startswith(("-", "_", "!")) and tag not in SILENT:
                inside = self._read_element(node, tag)
                if inside is not None:
                    stack.append((node, False))
                    stack.extend((child, True) for child in reversed(inside))
        self._flush()

    def _read_element(self, node: Any, tag: str) -> list[Any] | None:
        """Begin an element; return what is to be read in it, or None where nothing is."""
        attributes = node.attributes
        if _is_hidden(attributes):
            if _has_text(node):
                self._draft.leave_out("hidden elements")
            return None
        self.tooltips += [attributes[name] for name in _TOOLTIPS if attributes.get(name)]
        if tag == "template":
            return self._open_template(node, attributes)
        if tag in LEFT_OUT:
            if _has_text(node):
                self._draft.leave_out(LEFT_OUT[tag])
            return None
        if tag == "iframe":
            return self._open_page(attributes)
        if tag == "select":
            self._open_choices(node, attributes)
        elif tag == "option" and node.mem_id in self._not_chosen:
            return None
        elif tag == "option" and attributes.get("label"):
            return [" ", attributes["label"], " "]
        elif tag == "rp" and self._readings and not _is_words(node):
            return None  # the brackets around a reading, which are put there anyway
        elif tag in _ANNOTATIONS and _annotates(node):
            return None
        if tag == "math" and attributes.get("alttext") and not _has_text(node):
            return [attributes["alttext"]]
        children = _children(node)
        self._note_media(node, tag, attributes)
        if tag == "img" or tag == "area":
            self._read_picture(attributes)
        elif tag == "input":
            self._read_field(attributes)
        elif tag == "textarea" and not _has_text(node) and attributes.get("placeholder"):
            children = [attributes["placeholder"]]
        elif tag == "optgroup" and attributes.get("label"):
            children = [attributes["label"], *children]
        self._open(node, tag)
        return arrange_formula(tag, children) if tag.startswith("m") else children

    def _open(self, node: Any, tag: str) -> None:
        if tag == "br":
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._open_cell()
        elif tag in ("rt", "rtc"):
            self._outside.append(self._parts)
            self._parts = self._readings[-1] if self._readings else []
        elif tag == "ruby":
            self._readings.append([])
        elif tag in BLOCKS:
            self._end_block()
            self._preformatted += tag in PREFORMATTED
            if tag == "table":
                layout = node.attributes.get("role") in ("presentation", "none") or node.css_first(LAYOUT) is not None
                self._tables.append(None if layout and not any(self._rows) else Table())
            elif tag == "tr":
                self._open_row(node)

    def _close(self, node: Any, tag: str) -> None:
        if tag == "select":
            self._not_chosen, self._in_choice = set(), False
        if tag in ("td", "th"):
            self._close_cell(node)
        elif tag in ("rt", "rtc"):
            self._parts, reading = self._outside.pop(), self._parts
            if not self._readings:  # outside of any ruby element it is text as any other
                self._parts += reading
        elif tag == "ruby":
            reading_text = "".join(self._readings.pop()).strip()
            self._parts.append(f"({reading_text})" if reading_text else "")
        elif tag in BLOCKS:
            heading = _HEADING.fullmatch(tag)
            if heading and not any(self._rows):
                self._draft.heading(int(heading[1]), "".join(self._parts))
            if tag == "tr":
                self._close_row()
            else:
                self._end_block(is_heading=heading is not None)
            self._preformatted -= tag in PREFORMATTED
            if tag == "table":
                self._tables.pop()

    # ---- tables

    def _open_row(self, node: Any) -> None:
        table = self._tables[-1] if self._tables else None
        num_cells = sum(child.tag in ("td", "th") for child in _children(node))
        # A row of one cell relates nothing to anything: its paragraphs stay apart, as in a layout.
        alone = num_cells < 2 and table is not None and not table.is_spanned and not any(self._rows)
        self._rows.append(table is not None and not alone)

    def _open_cell(self) -> None:
        if self._rows and self._rows[-1]:
            self._outside.append(self._parts)
            self._parts = []
        else:
            self._end_block()

    def _close_cell(self, node: Any) -> None:
        table = self._tables[-1] if self._tables else None
        if table is not None and self._rows and self._rows[-1]:
            columns, rows = (_count(node.attributes.get(name)) for name in ("colspan", "rowspan"))
            table.cell("".join(self._parts), columns=min(columns, 1000), rows=rows)
            self._parts = self._outside.pop()
        else:
            self._end_block()

    def _close_row(self) -> None:
        table = self._tables[-1] if self._tables else None
        is_line = self._rows.pop()
        if table is None or not is_line:
            self._end_block()
            return
        line = table.end_row()
        if any(self._rows):  # a table within a cell
            while self._parts and not self._parts[-1].strip():
                self._parts.pop()
            if line:
                self._parts.append(("; " if self._parts else "") + line.replace("\t", " "))
        else:
            self._flush()
            self._draft.add(line)

    # ---- elements that show what is no text within them

    def _open_template(self, node: Any, attributes: Any) -> list[Any] | None:
        """Read the template of a shadow tree, which a browser shows; any other is for scripts."""
        body = self._parse(_TEMPLATE_TAG.sub("", node.html or ""))
        if body is None or not _has_text(body):
            return None
        if "shadowrootmode" in attributes:
            return _children(body)
        self._draft.leave_out("templates")
        return None

    def _open_page(self, attributes: Any) -> list[Any] | None:
        """Read a page that stands within its frame; one at an address of its own is left out."""
        if attributes.get("srcdoc"):
            body = self._parse(attributes["srcdoc"])
            self._end_block()
            return [*_children(body), "\n"] if body is not None else None
        self._draft.leave_out("embedded pages", where=attributes.get("src") or "")
        return None

    def _open_choices(self, node: Any, attributes: Any) -> None:
        """Find what is chosen of a list; the other choices are counted. A list of several lines shows all."""
        if "multiple" in attributes or _count(attributes.get("size")) > 1:
            return
        options = node.css("option")
        chosen = [option for option in options if "selected" in option.attributes][-1:] or options[:1]
        kept = {option.mem_id for option in chosen}
        self._not_chosen = {option.mem_id for option in options} - kept
        self._in_choice = True
        self._draft.leave_out("choices of drop-down lists", len(self._not_chosen))

    def _note_media(self, node: Any, tag: str, attributes: Any) -> None:
        decorative = attributes.get("aria-hidden") == "true" or attributes.get("role") in ("presentation", "none")
        if tag in _MEDIA:
            self._parts.append(" ")  # what is within is shown instead of it
        if tag in ("audio", "video"):
            self._draft.leave_out("recordings", where=attributes.get("src") or "")
        elif tag in ("object", "embed", "applet"):
            self._draft.leave_out("embedded objects", where=attributes.get("data") or attributes.get("src") or "")
        elif tag == "frame":
            self._draft.leave_out("embedded pages", where=attributes.get("src") or "")
        elif (tag in ("canvas", "svg") and not _has_text(node) and not decorative) or (
            tag == "img" and attributes.get("alt") is None and "alt" not in attributes and not decorative
        ):
            self._draft.leave_out("pictures without a description")

    def _read_picture(self, attributes: Any) -> None:
        if attributes.get("alt"):
            self._parts.append(f" {attributes['alt']} ")

    def _read_field(self, attributes: Any) -> None:
        kind = (attributes.get("type") or "").lower()
        if kind == "image":
            self._read_picture(attributes)
        elif kind == "password" and attributes.get("value"):
            self._draft.leave_out("passwords")
        elif kind == "hidden" and attributes.get("value"):
            self._draft.leave_out("hidden elements")
        elif kind in SHOWN_VALUES or kind not in ("checkbox", "radio", "range", "color", "file", "password", "hidden"):
            self._parts.append(f" {attributes.get('value') or attributes.get('placeholder') or ''} ")

    # ---- blocks

    def _end_block(self, *, is_heading: bool = False) -> None:
        if any(self._rows) or self._in_choice:  # both are one line, whatever stands in them
            self._parts.append(" ")
        else:
            self._flush(is_heading=is_heading)

    def _flush(self, *, is_heading: bool = False) -> None:
        text = "".join(self._parts)
        if not self._preformatted:
            text = "\n".join(re.sub(r"  +", " ", line).strip(" ") for line in text.split("\n"))
        self._draft.add(text, is_heading=is_heading)
        self._parts.clear()


def _children(node: Any) -> list[Any]:
    children = []
    child = node.child
    while child is not None:
        children.append(child)
        child = child.next
    return children


def _is_hidden(attributes: Any) -> bool:
    # Without a value the attribute is None; what is `until-found` opens to a search.
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    return bool(_NOT_SHOWN.search(attributes.get("style") or ""))


def _annotates(node: Any) -> bool:
    """Return whether an annotation says once more, as in TeX, what the formula before it says."""
    if node.parent.tag != "semantics":
        return False
    first = next(child for child in _children(node.parent) if not child.tag.startswith(("-", "_")))
    return first.tag not in _ANNOTATIONS


def _is_words(node: Any) -> bool:
    return any(sign.isalnum() for sign in node.text() or "")


def _has_text(node: Any) -> bool:
    return bool((node.text() or "").strip())


def _count(value: str | None) -> int:
    """Return the number in an attribute, or 1; `rowspan=0` goes on to the end of the table."""
    digits = (value or "").strip()
    if not digits.isdecimal() or len(digits) > 6:
        return 1
    return int(digits) or 65_534
