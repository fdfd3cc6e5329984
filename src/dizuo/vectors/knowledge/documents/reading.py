"""Reading files: `read_document` chooses the reader by the file's suffix, `files_below` finds what can be read.

Parsers, each the best kept of its kind in 2026, each without a compiler or a server: markdown-it-py (CommonMark's own
tests pass; gives the source lines of every block), selectolax (Lexbor: HTML5 as browsers build it, which lxml's HTML 4
parser does not), pypdf (pure Python, BSD; says what is encrypted or broken). They come with
`pip install "dizuo[documents]"`; plain text and DOCX, whose XML is read as it stands, need none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from dizuo.errors import DataError, DizuoError, did_you_mean
from dizuo.events import Warned, Watcher, ignore
from dizuo.vectors.knowledge.documents.decoding import check_encoding, is_plainly_unicode
from dizuo.vectors.knowledge.documents.document import Document, Draft
from dizuo.vectors.knowledge.documents.folder import describe_kind, describe_os_error, list_folder, show_name
from dizuo.vectors.knowledge.documents.readers import READERS, DocumentReader

__all__ = ["files_below", "fingerprint_file", "read_document", "suffixes"]

_HALF = re.compile("[\ud800-\udfff]")


def suffixes() -> dict[str, str]:
    """Return suffix → reader, of all readers there are."""
    return {suffix: name for name, reader in READERS.all().items() for suffix in reader.suffixes}


def read_document(
    path: str | Path, *, source: str | None = None, encoding: str | None = None, watch: Watcher = ignore
) -> Document:
    """Read one file.

    Args:
        path: a file with one of `suffixes()`.
        source: what citations call it; the file's name otherwise.
        encoding: of text and HTML files, unless a byte-order mark or their being plainly UTF-8 says otherwise; found
            where it is None, and told where that is a guess.
        watch: hears in one warning what the reader left out (`Document.left_out`), and of a guessed encoding.

    Raises:
        DataError: nobody reads this kind of file, or it is broken, encrypted or without text; names file and page.
        MissingPackage: its parser is not installed.
        VectorError: there is no such encoding.
    """
    if not str(path).strip():
        raise DataError("the file has no name", hint="give the path of a file")
    path = Path(path)
    name = source or show_name(path.name)
    reader = _find_reader(path)
    _check_file(path, name)
    if encoding is not None:
        check_encoding(encoding)
    try:
        document = _read(reader, path, name, encoding, watch).finish(name)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except DizuoError:
        raise
    except OSError as error:
        raise DataError(f"{name} cannot be read: {describe_os_error(error)}", hint=_TRY_AGAIN) from error
    except BaseException as error:
        # A parser's own surprise at a damaged file must not end a folder's reading. Parsers in Rust panic with what is
        # no Exception, and some call sys.exit.
        raise DataError(
            f"{name} cannot be read: {type(error).__name__}: {error}", hint="is the file whole? open it once by hand"
        ) from error
    if not document.text.strip():
        raise DataError(f"{name} has no text in it", hint="a scanned document needs OCR first")
    if document.left_out:
        hints = dict.fromkeys(item.hint for item in document.left_out if item.hint)
        watch(Warned("; ".join([f"{name}: not read: {', '.join(map(str, document.left_out))}", *hints])))
    return _replace_half_characters(document, watch)


_TRY_AGAIN = "sync again when it can be read"


def _find_reader(path: Path) -> DocumentReader:
    """Return who reads files of this suffix.

    Raises:
        DataError: nobody does.
    """
    known = {suffix: reader for reader in READERS.all().values() for suffix in reader.suffixes}
    suffix = path.suffix.lower()
    if suffix not in known:
        raise DataError(
            f"{show_name(path.name)}: no reader for {show_name(suffix) or 'a file without a suffix'}"
            f"{did_you_mean(suffix, known)}",
            hint=f"dizuo reads {', '.join(sorted(known))}",
        )
    return known[suffix]


def _check_file(path: Path, name: str) -> None:
    """Refuse what is no file or cannot be opened. A FIFO or a device would keep a reader waiting for ever.

    Raises:
        DataError: naming it.
    """
    try:
        mode = path.stat().st_mode
        kind = describe_kind(mode)
        if not kind:
            with path.open("rb"):
                return
    except OSError as error:
        raise DataError(
            f"{name} cannot be read: {describe_os_error(error)}: {show_name(path)}", hint=_TRY_AGAIN
        ) from error
    raise DataError(f"{name} cannot be read: it is a {kind}, and no file", hint="move it out of the folder")


def _read(reader: DocumentReader, path: Path, name: str, encoding: str | None, watch: Watcher) -> Draft:
    if reader.read is not None:
        return reader.read(path, watch)
    assert reader.parse is not None
    try:
        decoded = reader.decode(path.read_bytes(), encoding)
    except DataError as error:
        raise DataError(f"{name} {error.message}", details=error.details, hint=error.hint) from error
    for told in decoded.warnings:
        watch(Warned(f"{name}: {told}"))
    return reader.parse(decoded.text, path, watch)


def fingerprint_file(path: Path, *, encoding: str | None = None) -> str:
    """Return what a document of a file has for itself: a digest of the bytes, and what reads them.

    It changes with the bytes, with the reader's version, and with the named encoding where that is used for the file.

    Raises:
        OSError: it cannot be read.
    """
    reader = _find_reader(path)
    by = f"{reader.name} {reader.version}"
    if encoding is None or reader.parse is None:
        with path.open("rb") as file:
            return f"{hashlib.file_digest(file, 'sha256').hexdigest()} {by}"
    raw = path.read_bytes()
    if not raw.isascii() and not is_plainly_unicode(raw):
        by = f"{by} {check_encoding(encoding)}"
    return f"{hashlib.sha256(raw).hexdigest()} {by}"


def files_below(
    root: str | Path, *, patterns: Sequence[str] = ("**/*",), watch: Watcher = ignore
) -> Iterator[tuple[str, Path]]:
    """Yield (name relative to the root, path) of the files that dizuo reads, sorted by name; hidden ones are left out.

    Args:
        root: a folder, or one file.
        patterns: globs below the folder.
        watch: hears of what cannot be looked at.

    Raises:
        DataError: the folder is not there or cannot be looked at.
    """
    listing = list_folder(root, patterns=patterns, suffixes=tuple(suffixes()))
    for name, reason in listing.failed.items():
        watch(Warned(f"{name} was not read: {reason}"))
    yield from listing.files.items()


def _replace_half_characters(document: Document, watch: Watcher) -> Document:
    """Return the document with U+FFFD for half characters, which no database and no tokenizer takes; positions stay."""
    count = 0

    def whole(text: str) -> str:
        nonlocal count
        changed, number = _HALF.subn("\ufffd", text)
        count += number
        return changed

    text = whole(document.text)
    title = None if document.title is None else whole(document.title)
    paths = {path: tuple(map(whole, path)) for path in {block.headings for block in document.blocks}}
    if not count:
        return document
    first = _HALF.search(document.text)
    page = None if first is None else next(
        (block.page for block in document.blocks if block.start <= first.start() < block.end), None
    )  # fmt: skip
    place = f", the first on page {page}" if page else f", the first at {first.start():,}" if first else ""
    some = "half a character" if count == 1 else f"{count:,} half characters"
    watch(Warned(f"{document.source} has {some} in its text, which became U+FFFD{place}"))
    blocks = tuple(replace(block, headings=paths[block.headings]) for block in document.blocks)
    return replace(document, text=text, title=title, blocks=blocks)
