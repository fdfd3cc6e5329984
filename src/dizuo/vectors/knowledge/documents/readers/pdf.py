"""PDF: the text of every page, under the titles of the outline where the file has one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from dizuo.errors import DataError, MissingPackage
from dizuo.events import Warned, Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]


def read(path: Path, watch: Watcher) -> Draft:
    """Return the text page by page; pages without any are named to the watcher.

    Raises:
        DataError: the file is broken or needs a password, a page cannot be read, or no page has text.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError as error:
        raise MissingPackage("pypdf", purpose="reading PDF", install="dizuo[documents]") from error
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # it reports every odd object of a file that it can read
    try:
        reader = PdfReader(path)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DataError(f"{path.name} is encrypted and needs a password", hint="save it once without a password")
        pages = list(reader.pages)
    except DependencyError as error:
        raise MissingPackage("cryptography", purpose="reading encrypted PDF", install="dizuo[documents]") from error
    except (PyPdfError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path.name} is no PDF that can be read: {error}", hint="is the file whole?") from error
    draft = Draft()
    titles = _titles(reader)
    empty = []
    for number, page in enumerate(pages, start=1):
        draft.page = number
        for level, title in titles.get(number, ()):
            draft.heading(level, title)
        try:
            text = page.extract_text()
        except Exception as error:  # pypdf meets damaged streams with whatever its parsers raise
            raise DataError(
                f"{path.name} page {number} cannot be read: {type(error).__name__}: {error}",
                hint="repair the file, as with qpdf, or print it to a new PDF",
            ) from error
        if not text.strip():
            empty.append(number)
        for paragraph in text.replace("\0", " ").split("\n\n"):
            draft.add(paragraph)
    if len(empty) == len(pages):
        raise DataError(
            f"{path.name} has no text on any of its {len(pages)} pages", hint="it is scanned: run OCR first"
        )
    if empty:
        watch(Warned(f"{path.name} has no text on {len(empty)} of {len(pages)} pages: {_ranges(empty)}"))
    return draft


def _titles(reader: Any) -> dict[int, list[tuple[int, str]]]:
    """Return page → (level, title) of the outline; an outline that is broken is none."""
    found: dict[int, list[tuple[int, str]]] = {}

    def walk(items: Any, level: int) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item, level + 1)
                continue
            page = reader.get_destination_page_number(item)
            if page is not None and page >= 0 and item.title:
                found.setdefault(page + 1, []).append((level, str(item.title)))

    try:
        walk(reader.outline, 1)
    except Exception:
        return {}
    return found


def _ranges(numbers: list[int]) -> str:
    """Return `1–3, 7` of sorted numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in runs)


READER = DocumentReader(suffixes=(".pdf",), read=read)
