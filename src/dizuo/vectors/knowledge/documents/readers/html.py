"""HTML: the text that a browser would show, block by block, under its headings.

Scripts, styles, templates and what is marked `hidden` are no text. Nothing else is guessed away: menus stay.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from dizuo.errors import MissingPackage
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.decoding import decode_html
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]

_SILENT = {"script", "style", "template", "noscript", "head", "svg", "iframe", "object", "select", "datalist"}
_INLINE = {
    "a", "abbr", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins",
    "kbd", "label", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small", "span", "strong", "sub", "sup", "time",
    "tt", "u", "var", "wbr",
}  # fmt: skip
_HEADING = re.compile(r"h([1-6])")
_SPACE = re.compile(r"[ \t\r\n\f]+")


def read(path: Path, watch: Watcher) -> Draft:
    """Return the shown text. Bytes go to the parser, which follows the file's own `<meta charset>`."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingPackage("selectolax", purpose="reading HTML", install="dizuo[documents]") from error
    tree = LexborHTMLParser(decode_html(path.read_bytes()))
    draft = Draft()
    named = tree.css_first("title")
    if named is not None and named.text().strip():
        draft.title = " ".join(named.text().split())
    if tree.body is not None:
        _Walk(draft).run(tree.body)
    return draft


class _Walk:
    """Goes through the tree without recursion, gathering text until a block ends."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._parts: list[str] = []
        self._preformatted = 0

    def run(self, root: Any) -> None:
        stack: list[tuple[Any, bool]] = [(root, True)]
        while stack:
            node, opening = stack.pop()
            tag = node.tag
            if tag == "-text":
                text = node.text_content or ""
                self._parts.append(text if self._preformatted else _SPACE.sub(" ", text))
            elif not opening:
                self._close(tag)
            elif tag and not tag.startswith(("-", "_", "!")) and tag not in _SILENT and "hidden" not in node.attributes:
                self._open(tag)
                stack.append((node, False))
                children = []
                child = node.child
                while child is not None:
                    children.append((child, True))
                    child = child.next
                stack.extend(reversed(children))
        self._flush()

    def _open(self, tag: str) -> None:
        if tag == "br":
            self._parts.append("\n")
        elif tag in ("td", "th"):
            self._parts.append("\t")
        elif tag not in _INLINE:
            self._flush()
            self._preformatted += tag == "pre"

    def _close(self, tag: str) -> None:
        if tag in _INLINE or tag in ("br", "td", "th"):
            return
        heading = _HEADING.fullmatch(tag)
        if heading:
            self._draft.heading(int(heading[1]), "".join(self._parts))
        self._flush(is_heading=heading is not None)
        self._preformatted -= tag == "pre"

    def _flush(self, *, is_heading: bool = False) -> None:
        text = "".join(self._parts)
        if not self._preformatted:
            text = "\n".join(
                re.sub(r" *(\t) *|  +", lambda m: m[1] or " ", line).strip(" ") for line in text.split("\n")
            )
        self._draft.add(text, is_heading=is_heading)
        self._parts.clear()


READER = DocumentReader(suffixes=(".html", ".htm", ".xhtml"), read=read)
