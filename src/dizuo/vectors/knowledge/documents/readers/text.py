"""Plain text: paragraphs between empty lines."""

from __future__ import annotations

import re
from pathlib import Path

from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.reading import read_text

__all__ = ["SUFFIXES", "read"]

SUFFIXES = (".txt", ".text", ".log", ".rst")
_PARAGRAPH = re.compile(r"\S(?:.*\S)?(?:\r?\n[^\S\r\n]*\S(?:.*\S)?)*")


def read(path: Path, *, watch: Watcher) -> Draft:
    """Return the file's text with its paragraphs."""
    text = read_text(path)
    draft = Draft(text)
    for match in _PARAGRAPH.finditer(text):
        draft.mark(match.start(), match.end())
    return draft
