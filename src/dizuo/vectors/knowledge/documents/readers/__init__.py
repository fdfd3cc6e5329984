"""Readers of document files: one file or package per format, which ends in a `DocumentReader`.

    text.py        plain text: paragraphs between empty lines
    markdown.py    Markdown: the text as it is written, with its headings
    html/          HTML: what a browser would show
    pdf/           PDF, page by page
    docx/          Word documents

A reader fills a `Draft`, piece by piece, and says which headings and which page a piece stands under:

    def read(path: Path, watch: Watcher) -> Draft:
        import my_parser                       # what is heavy is imported here

        draft = Draft()
        for section in my_parser.parse(path):
            draft.heading(1, section.title)
            draft.add(section.text)
            draft.leave_out("comments", len(section.comments))
        return draft

    READER = DocumentReader(suffixes=(".tex",), read=read)

Nothing of a file is dropped in silence: it is in the text, or `leave_out` counts it.

The reader of a format that is text gets the text instead of the file: `DocumentReader(suffixes=(".tex",), parse=parse)`
with `def parse(text: str, path: Path, watch: Watcher) -> Draft`. Which encoding the file is in is found before.

Third parties name theirs in the entry-point group `dizuo.vectors.documents.readers`, and
`dizuo.testing.DocumentReaderSuite` tests one. `read_document` chooses the reader by the file's suffix.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dizuo.errors import PluginError, VectorError
from dizuo.events import Watcher
from dizuo.plugins import Kind, check_fields
from dizuo.vectors.knowledge.documents.decoding import Decoded, decode_text
from dizuo.vectors.knowledge.documents.document import Draft

__all__ = ["READERS", "DocumentReader"]


@dataclass(frozen=True, slots=True)
class DocumentReader:
    """How one format of document files is read."""

    suffixes: tuple[str, ...]
    """File suffixes of this format, in lower case and with their point."""
    read: Callable[[Path, Watcher], Draft] | None = None
    """(path, watch) -> the text with its blocks, and what of the file is not in it (`Draft.leave_out`), of which
    `read_document` warns. A file that is broken, encrypted or without text is a `DataError` that names it. Whatever
    else is raised is told as one error of a file that cannot be read."""
    parse: Callable[[str, Path, Watcher], Draft] | None = None
    """In the place of `read`, of a format that is text: (text, path, watch) -> the same. The file is decoded before,
    and what is to be said of that is said."""
    decode: Callable[[bytes, str | None], Decoded] = decode_text
    """For `parse`: (bytes, the encoding that the user names, or None) -> the file's text. Another one where files of
    this format say their encoding themselves, as HTML's do."""
    version: int = 1
    """Raise it when the reader makes another text of the same file: knowledge bases then read their files anew."""
    name: str = ""
    """The name of its file; filled in by `READERS.load`."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.read is None and self.parse is None:
            raise PluginError("DocumentReader also needs 'read'", hint="or 'parse', where files are text")
        if self.read is not None and self.parse is not None:
            raise PluginError("a DocumentReader has 'read' or 'parse', not both", hint="parse where files are text")


READERS = Kind(
    "document reader",
    "dizuo.vectors.knowledge.documents.readers",
    "READER",
    DocumentReader,
    group="dizuo.vectors.documents.readers",
    error=VectorError,
)
"""Every reader, ours and third parties'; the group has the name that third parties know."""
