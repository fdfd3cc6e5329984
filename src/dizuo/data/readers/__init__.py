"""Container formats: how a file holds its rows. One file each.

    delimited.py    CSV and TSV: finds separator, quoting and header
    jsonl.py        JSON lines
    json.py         JSON documents
    parquet.py      Parquet
    arrow.py        Arrow IPC, as files and as streams
    text.py         plain text: a row per line or per paragraph
    folder.py       a folder with one sub-folder per class

A new reader is a file here, or a module that a third party names in the entry-point group `dizuo.data.readers`:

    def looks(head: bytes) -> bool:
        return head.startswith(b"%YAML")

    def read(source: SourceFile) -> Iterator[Row | Fault]:
        for number, line in source.lines():
            yield Row(number, {"text": line.rstrip()})

    READER = Reader(suffixes=(".yaml",), looks=looks, read=read, is_text=True)

`dizuo.testing.ReaderSuite` tests it. `choose` says which reader a file gets, `read` yields the rows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.errors import DataError
from dizuo.plugins import Kind, check_fields

__all__ = ["READERS", "Reader", "choose", "load", "read"]


@dataclass(frozen=True, slots=True)
class Reader:
    """How one container format is read."""

    suffixes: tuple[str, ...]
    """File suffixes of this format, in lower case and with their point."""
    looks: Callable[[bytes], bool]
    """Returns whether a file that begins with these bytes (64 KiB at most) is of this format."""
    read: Callable[[SourceFile], Iterator[Row | Fault]]
    """Yields the rows in file order, one at a time. A row that cannot be read is yielded as a `Fault`, and the rows
    behind it still come. Where nothing behind a fault can be read, it is raised as a `DataError`."""
    is_text: bool = False
    """The file is text in some encoding: it is read through `SourceFile.text`, and the card states the encoding."""
    is_table: bool = False
    """The file has no lines: messages count rows."""
    name: str = ""
    """The name that a user gives as `reader`; the loader fills it in."""

    def __post_init__(self) -> None:
        check_fields(self)


READERS = Kind("reader", "dizuo.data.readers", "READER", Reader, error=DataError)

_BY_CONTENT = ("parquet", "arrow", "json", "jsonl", "delimited")
"""The order in which our readers look at a file whose suffix says nothing. Third parties' look next; what nobody
takes is plain text."""
_ALIASES = {"csv": "delimited", "tsv": "delimited"}
_DOCUMENT = re.compile(rb"(\xef\xbb\xbf)?\s*(\[\s*\{|\{\s*\n)")
"""How a JSON document begins that is not a row: as an array of objects, or as an object over several lines."""
_SAMPLE_LINES = 200


@cache
def load(name: str) -> Reader:
    """Return a reader, or raise the error that lists what exists."""
    return READERS.load(name)


def choose(source: SourceFile, asked: str = "auto") -> str:
    """Return the name of the reader for a source: as asked, by suffix, or by looking at the content."""
    if asked != "auto":
        return load(_ALIASES.get(asked, asked)).name
    if source.path.is_dir():
        return "folder"
    with source.binary() as file:
        head = file.read(1 << 16)
    if not head.strip():
        raise DataError(f"{source.name} is empty", hint="check that it was written to its end")
    names = READERS.names()
    by_suffix = [name for name in names if source.suffix in load(name).suffixes]
    if by_suffix:
        return _by_content(source, by_suffix[0], head)
    for name in (*_BY_CONTENT, *(name for name in names if name not in (*_BY_CONTENT, "text"))):
        if load(name).looks(head):
            return name
    return "text"


def _by_content(source: SourceFile, named: str, head: bytes) -> str:
    """Return the reader that a file's content asks for where its suffix is a common mistake, and say so."""
    if named == "json" and load("jsonl").looks(head):
        return "jsonl"  # many a .json file holds one value per line
    if named == "jsonl" and _DOCUMENT.match(head) and not load("jsonl").looks(head):
        what = "is one JSON document" if b"[" in head[: head.index(b"{")] else "holds objects over several lines each"
        return _told(source, "json", f"{what}, not one value per line; it is read as such")
    if named == "text" and source.suffix in (".txt", ".text") and _is_tabbed(source):
        return _told(source, "delimited", "is a table whose columns are separated by tabs; it is read as such")
    return named


def _told(source: SourceFile, reader: str, remark: str) -> str:
    if remark not in source.remarks:
        source.remarks.append(remark)
    return reader


def _is_tabbed(source: SourceFile) -> bool:
    """Return whether nearly all of a file's first lines have the same number of tabs, one at least."""
    lines = [line for _, line in itertools.islice(source.lines(), _SAMPLE_LINES) if line.strip()]
    tabs = [line.count("\t") for line in lines]
    common = max(set(tabs), key=tabs.count, default=0)
    return len(lines) > 1 and common > 0 and tabs.count(common) >= 0.9 * len(lines)


def read(source: SourceFile, reader: str) -> Iterator[Row | Fault]:
    """Yield the rows of a source with the named reader."""
    return load(reader).read(source)
