"""Reading files: `read_document` chooses the reader by the file's suffix, `files_below` finds what can be read.

Parsers, each the best kept of its kind in 2026, each without a compiler or a server: markdown-it-py (CommonMark's own
tests pass; gives the source lines of every block), selectolax (Lexbor: HTML5 as browsers build it, which lxml's HTML 4
parser does not), pypdf (pure Python, BSD; says what is encrypted or broken). They come with
`pip install "dizuo[documents]"`; plain text and DOCX (a zip of XML, which the standard library reads) need none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from dizuo.errors import DataError, DizuoError, did_you_mean
from dizuo.events import Warned, Watcher, ignore
from dizuo.vectors.knowledge.documents.document import Document
from dizuo.vectors.knowledge.documents.readers import READERS

__all__ = ["files_below", "name_readers", "read_document", "suffixes"]


def suffixes() -> dict[str, str]:
    """Return suffix → reader, of all readers there are."""
    return {suffix: name for name, reader in READERS.all().items() for suffix in reader.suffixes}


def name_readers() -> dict[str, str]:
    """Return suffix → name and version of what reads such a file: with its bytes, they say which text it has."""
    return {suffix: f"{name} {reader.version}" for name, reader in READERS.all().items() for suffix in reader.suffixes}


def read_document(path: str | Path, *, source: str | None = None, watch: Watcher = ignore) -> Document:
    """Read one file.

    Args:
        path: a file with one of `suffixes()`.
        source: what citations call it; the file's name otherwise.
        watch: hears in one warning what the reader left out (`Document.left_out`), and what else it has to say.

    Raises:
        DataError: nobody reads this kind of file, or it is broken, encrypted or without text; names file and page.
        MissingPackage: its parser is not installed.
    """
    path = Path(path)
    known = suffixes()
    suffix = path.suffix.lower()
    if suffix not in known:
        raise DataError(
            f"{path.name}: no reader for {suffix or 'a file without a suffix'}{did_you_mean(suffix, known)}",
            hint=f"dizuo reads {', '.join(sorted(known))}",
        )
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    reader = READERS.load(known[suffix])
    name = source or path.name
    try:
        document = reader.read(path, watch).finish(name)
    except DizuoError:
        raise
    except Exception as error:  # a parser's own surprise at a damaged file must not end a folder's reading
        raise DataError(
            f"{name} cannot be read: {type(error).__name__}: {error}", hint="is the file whole? open it once by hand"
        ) from error
    if not document.text.strip():
        raise DataError(f"{name} has no text in it", hint="a scanned document needs OCR first")
    _refuse_half_characters(document)
    if document.left_out:
        hints = dict.fromkeys(item.hint for item in document.left_out if item.hint)
        watch(Warned("; ".join([f"{name}: not read: {', '.join(map(str, document.left_out))}", *hints])))
    return document


def files_below(root: str | Path, *, patterns: Sequence[str] = ("**/*",)) -> Iterator[tuple[str, Path]]:
    """Yield (name relative to the root, path) of the files that dizuo reads, sorted by name; hidden ones are left out.

    Args:
        root: a folder, or one file.
        patterns: globs below the folder.
    """
    root = Path(root)
    if root.is_file():
        yield root.name, root
        return
    if not root.is_dir():
        raise DataError(f"{root} does not exist", hint="give a folder or a file")
    known = suffixes()
    paths = {path for pattern in patterns for path in root.glob(pattern) if path.suffix.lower() in known}
    named = sorted((path.relative_to(root).as_posix(), path) for path in paths if path.is_file())
    yield from ((name, path) for name, path in named if not any(part.startswith(".") for part in name.split("/")))


def _refuse_half_characters(document: Document) -> None:
    try:
        document.text.encode("utf-8")
    except UnicodeEncodeError as error:
        page = next((block.page for block in document.blocks if block.start <= error.start < block.end), None)
        on_page = f" on page {page}" if page else ""
        raise DataError(
            f"{document.source} has half a character (U+{ord(document.text[error.start]):04X}) in its text{on_page}",
            hint="write the file anew with another program",
        ) from error
