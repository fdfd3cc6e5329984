"""HTML: the text that a browser would show, block by block, under its headings.

    walk.py         goes through the tree, and gathers the text of blocks
    elements.py     which elements are blocks, and which say nothing
    formulas.py     a formula in MathML becomes one line

Values of fields, descriptions of pictures, the chosen one of a list and the page's own description are read, too.
Scripts and styles are no text. What is hidden, and texts for browsers without scripts, is left out and counted.
Nothing is guessed away: menus stay.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import Any

from dizuo.errors import MissingPackage
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.decoding import decode_html
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader
from dizuo.vectors.knowledge.documents.readers.html.elements import VOID
from dizuo.vectors.knowledge.documents.readers.html.walk import Walk

__all__ = ["READER"]

_CLOSED = re.compile(r"<([A-Za-z][\w:.-]*)((?:\s[^<>]*)?)/>")


def parse(text: str, path: Path, watch: Watcher) -> Draft:
    """Return the shown text."""
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError as error:
        raise MissingPackage("selectolax", purpose="reading HTML", install="dizuo[documents]") from error
    tree = LexborHTMLParser(_as_html(text) if path.suffix.lower() == ".xhtml" else text)
    draft = Draft()
    head = tree.head
    named = head.css_first("title") if head is not None else None
    if named is not None and named.text().strip():
        draft.title = " ".join(named.text().split())
    for meta in tree.css("meta"):
        if (meta.attributes.get("name") or "").lower() == "description":
            draft.add(" ".join((meta.attributes.get("content") or "").split()))
    kept = [tree]  # a tree is gone with its parser, and its nodes with it

    def build(page: str) -> Any:
        kept.append(LexborHTMLParser(page))
        return kept[-1].body

    walk = Walk(draft, build)
    frames = tree.css("frameset frame")
    draft.leave_out("embedded pages", len(frames))
    if tree.body is not None:
        walk.run(tree.body)
    words = set(draft.finish("").text.split())
    draft.leave_out("tooltips", sum(not words.issuperset(tip.split()) for tip in set(walk.tooltips)))
    return draft


def _as_html(text: str) -> str:
    """Return XHTML so that an HTML parser understands it: `<script/>` would swallow all that follows it."""
    before, *sections = text.split("<![CDATA[")
    for section in sections:
        inside, _, after = section.partition("]]>")
        before += escape(inside) + after
    return _CLOSED.sub(
        lambda match: match[0] if match[1].lower() in VOID else f"<{match[1]}{match[2]}></{match[1]}>", before
    )


READER = DocumentReader(suffixes=(".html", ".htm", ".xhtml"), parse=parse, decode=decode_html)
