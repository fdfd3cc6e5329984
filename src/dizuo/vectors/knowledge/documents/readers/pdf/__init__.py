"""PDF: the text of every page, under the titles of the outline, and what was filled in.

    pages.py           the text of a page, and at which height its pieces stand
    outline.py         where on its page each heading begins
    tags.py            descriptions of figures
    annotations.py     form fields and notes, which lie upon the pages

Values of form fields and descriptions of pictures follow the text of their page. Pages without text, notes, pictures,
attached files and signatures are left out, and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dizuo.errors import DataError, MissingPackage
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader
from dizuo.vectors.knowledge.documents.readers.pdf.annotations import Annotations
from dizuo.vectors.knowledge.documents.readers.pdf.outline import Entry, place_headings, read_outline
from dizuo.vectors.knowledge.documents.readers.pdf.pages import PageText, count_unreadable, read_page
from dizuo.vectors.knowledge.documents.readers.pdf.tags import read_tags

__all__ = ["READER"]

_OCR = "text that is a picture needs OCR first"


def read(path: Path, watch: Watcher) -> Draft:
    """Return the text page by page.

    Raises:
        DataError: the file is broken or needs a password, a page cannot be read, or no page has text.
    """
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError as error:
        raise MissingPackage("pypdf", purpose="reading PDF", install="dizuo[documents]") from error
    with _listen() as lost:
        try:
            reader = PdfReader(path)
            if reader.is_encrypted and not reader.decrypt(""):
                raise DataError(
                    f"{path.name} is encrypted and needs a password", hint="save it once without a password"
                )
            pages = list(reader.pages)
        except DependencyError as error:
            raise MissingPackage("cryptography", purpose="reading encrypted PDF", install="dizuo[documents]") from error
        except (PyPdfError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{path.name} is no PDF that can be read: {error}", hint="is the file whole?") from error
        draft = Draft()
        _Reading(path.name, draft, reader).read(pages)
        draft.leave_out("drawings that cannot be read", len(lost), hint="repair the file, as with qpdf")
    return draft


class _Reading:
    """A file while it is read."""

    def __init__(self, name: str, draft: Draft, reader: Any) -> None:
        self._name = name
        self._draft = draft
        self._reader = reader
        self._annotations = Annotations(draft)
        self._tags: dict[int, list[str]] = {}
        self._empty: list[int] = []
        self._pictures: set[object] = set()
        self._unreadable: dict[int, int] = {}

    def read(self, pages: list[Any]) -> None:
        """Read all pages, and say what of the file is left out."""
        entries, num_lost = read_outline(self._reader)
        self._tags, is_whole = read_tags(self._reader, pages)
        for number, page in enumerate(pages, start=1):
            self._draft.page = number
            self._read_page(page, number, entries.get(number, []))
        form = _resolve(self._reader.root_object.get("/AcroForm"), {})
        texts = self._annotations.read_other_fields(form)
        for text in texts:
            self._draft.add(text)
        if len(self._empty) == len(pages) and not texts:
            raise DataError(
                f"{self._name} has no text on any of its {len(pages)} pages", hint="it is scanned: run OCR first"
            )
        note = self._draft.leave_out
        note("pages without text", len(self._empty), where=_format_ranges(self._empty), hint=_OCR)
        unreadable = sum(self._unreadable.values())
        note("characters of fonts without Unicode", unreadable, where=_format_ranges([*self._unreadable]), hint=_OCR)
        note("pictures", len(self._pictures))
        note("parts of the tags that are damaged", int(not is_whole))
        note("entries of the outline that lead nowhere", num_lost)
        attached = [*self._read_attachments(), *self._annotations.attached]
        note("attached files", len(attached), where=", ".join(attached))
        if "/XFA" in form and not form.get("/Fields"):
            note("XFA forms", hint="print the form to a new PDF")

    def _read_page(self, page: Any, number: int, entries: list[Entry]) -> None:
        try:
            content = read_page(page)
        except Exception as error:  # pypdf meets damaged streams with whatever its parsers raise
            raise DataError(
                f"{self._name} page {number} cannot be read: {type(error).__name__}: {error}",
                hint="repair the file, as with qpdf, or print it to a new PDF",
            ) from error
        self._add_text(content, entries)
        texts = self._annotations.read(page, number)
        squeezed = "".join(content.text.split())
        meant = [*content.replacements, *self._tags.get(number, ())]
        texts += [text for text in meant if "".join(text.split()) not in squeezed]
        for text in dict.fromkeys(texts):
            self._draft.add(text)
        if not content.text.strip() and not texts:
            self._empty.append(number)
        else:
            self._pictures |= set(_find_pictures(page.get("/Resources")))
        if unreadable := count_unreadable(content.text):
            self._unreadable[number] = unreadable

    def _add_text(self, content: PageText, entries: list[Entry]) -> None:
        """Add the text, each part of it under the heading that it stands below."""
        at = 0
        for place in place_headings(content, entries):
            self._add_paragraphs(content.text[at : place.start])
            self._draft.heading(place.entry.level, place.entry.title)
            self._draft.add(content.text[max(at, place.start) : place.end], is_heading=True)
            at = max(at, place.end)
        self._add_paragraphs(content.text[at:])

    def _add_paragraphs(self, text: str) -> None:
        for paragraph in text.split("\n\n"):
            self._draft.add(paragraph)

    def _read_attachments(self) -> list[str]:
        try:
            return [str(attached.name) for attached in self._reader.attachment_list]
        except Exception:  # as at any other damaged object
            return ["files that cannot be listed"]


def _find_pictures(resources: Any, depth: int = 0) -> Iterator[object]:
    """Yield what tells apart the pictures that a page uses, also within drawings that it uses."""
    drawings: Any = _resolve(_resolve(resources, {}).get("/XObject"), {})
    for key in drawings:
        reference = drawings.raw_get(key)
        drawing = _resolve(reference, {})
        if drawing.get("/Subtype") == "/Image":
            yield getattr(reference, "idnum", id(drawing))
        elif drawing.get("/Subtype") == "/Form" and depth < 5:
            yield from _find_pictures(drawing.get("/Resources"), depth + 1)


def _resolve(value: Any, default: Any) -> Any:
    """Return the dictionary that a value is or refers to, or a default where it is none."""
    value = value.get_object() if hasattr(value, "get_object") else value
    return value if hasattr(value, "raw_get") else default


@contextmanager
def _listen() -> Iterator[list[str]]:
    """Gather what pypdf says in its log of drawings that it gave up; all else that it says there is of no use."""
    lost: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if str(record.msg).startswith(("Impossible to decode XFormObject", "Exceeded %(limit)d form XObject")):
                lost.append(record.getMessage())

    logger, ear = logging.getLogger("pypdf"), Ear(logging.WARNING)
    propagates, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield lost
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagates


def _format_ranges(numbers: list[int]) -> str:
    """Return `pages 1–3, 7` of sorted numbers."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    parts = [str(first) if first == last else f"{first}–{last}" for first, last in runs]
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(parts)}"


READER = DocumentReader(suffixes=(".pdf",), read=read)
