"""Markdown: the text stays as it is written; headings and blocks come from CommonMark's own grammar, with tables.

Whatever the grammar makes of it, every character of the file is in the text: what it takes for no block, such as the
definition of a reference, is a block of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from dizuo.errors import MissingPackage
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.lines import line_starts
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]

_FENCES = ("---", "+++")
"""What front matter stands between: YAML, TOML."""
_HTML_HEADING = re.compile(r"\s*<h([1-6])\b[^>]*>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")


def parse(text: str, path: Path, watch: Watcher) -> Draft:
    """Return the file's text with its top-level blocks and headings."""
    try:
        from markdown_it import MarkdownIt
    except ImportError as error:
        raise MissingPackage("markdown-it-py", purpose="reading Markdown", install="dizuo[documents]") from error
    draft = Draft(text)
    starts = line_starts(text)
    first = _skip_front_matter(text, starts)
    last = starts[first]
    _mark(draft, text, 0, last)
    tokens = MarkdownIt("commonmark").enable("table").parse(text[last:])
    for number, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        start, end = (starts[min(first + line, len(starts) - 1)] for line in token.map)
        # Reference definitions leave no token, so what lies between two blocks is a block of its own.
        _mark(draft, text, last, start)
        heading = _read_heading(tokens, number)
        if heading:
            draft.heading(*heading)
        _mark(draft, text, start, end, is_heading=heading is not None)
        last = end
    _mark(draft, text, last, len(text))
    return draft


def _skip_front_matter(text: str, starts: Sequence[int]) -> int:
    """Return the number of lines of front matter at the beginning, 0 where there is none."""
    lines = (text[start:end].rstrip() for start, end in pairwise(starts))
    fence = next(lines, "")
    if fence not in _FENCES:
        return 0
    return next((number for number, line in enumerate(lines, start=2) if line == fence), 0)


def _read_heading(tokens: Sequence[Any], number: int) -> tuple[int, str] | None:
    """Return (level, title) of a token that begins a heading, as CommonMark or as HTML writes it."""
    token = tokens[number]
    if token.type == "heading_open":
        return int(token.tag[1:]), _read_title(tokens[number + 1].children or ())
    heading = _HTML_HEADING.match(token.content) if token.type == "html_block" else None
    if heading is None:
        return None
    closing = re.compile(f"</h{heading[1]}", re.IGNORECASE).search(token.content, heading.end())
    title = _TAG.sub("", token.content[heading.end() : closing.start()]) if closing else ""
    return (int(heading[1]), title) if title.strip() else None


def _read_title(parts: Sequence[Any]) -> str:
    """Return the text of a heading without its marks: `Set-up` for `*Set*-up`."""
    return "".join(" " if part.type.endswith("break") else part.content for part in parts if part.type != "html_inline")


def _mark(draft: Draft, text: str, start: int, end: int, *, is_heading: bool = False) -> None:
    """Mark a stretch without the white space around it."""
    piece = text[start:end]
    if piece.strip():
        draft.mark(start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip()), is_heading=is_heading)


READER = DocumentReader(suffixes=(".md", ".markdown"), parse=parse)
