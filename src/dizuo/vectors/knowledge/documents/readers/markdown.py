"""Markdown: the text stays as it is written; headings and blocks come from CommonMark's own grammar, with tables."""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

from dizuo.errors import MissingPackage
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.decoding import read_text
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]

_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(?:.*\r?\n)*?---[ \t]*(?:\r?\n|\Z)")


def read(path: Path, watch: Watcher) -> Draft:
    """Return the file's text with its top-level blocks and headings."""
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingPackage("markdown-it-py", purpose="reading Markdown", install="dizuo[documents]") from error
    text = read_text(path)
    draft = Draft(text)
    front = _FRONT_MATTER.match(text)
    first = text.count("\n", 0, front.end()) if front else 0
    if front:
        draft.mark(0, len(front[0].rstrip()))
    lines = text.split("\n")
    starts = [0, *accumulate(len(line) + 1 for line in lines)]
    tokens = MarkdownIt("commonmark").enable("table").parse("\n".join(lines[first:]))
    last = starts[first]
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = starts[first + token.map[0]], min(len(text), starts[first + token.map[1]])
        # Reference definitions leave no token, so what lies between two blocks is a block of its own.
        _mark(draft, text, last, start)
        is_heading = token.type == "heading_open"
        if is_heading:
            draft.heading(int(token.tag[1:]), tokens[number + 1].content)
        _mark(draft, text, start, end, is_heading=is_heading)
        last = end
    _mark(draft, text, last, len(text))
    return draft


def _mark(draft: Draft, text: str, start: int, end: int, *, is_heading: bool = False) -> None:
    """Mark a stretch without the white space around it."""
    piece = text[start:end]
    if piece.strip():
        draft.mark(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()), is_heading=is_heading)


READER = DocumentReader(suffixes=(".md", ".markdown"), read=read)
