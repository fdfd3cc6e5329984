"""Plain text: paragraphs between empty lines."""

from __future__ import annotations

from pathlib import Path

from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.lines import stretches
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]


def parse(text: str, path: Path, watch: Watcher) -> Draft:
    """Return the file's text with its paragraphs."""
    draft = Draft(text)
    for start, end in stretches(text):
        draft.mark(start, end)
    return draft


READER = DocumentReader(suffixes=(".txt", ".text", ".log", ".rst"), parse=parse)
