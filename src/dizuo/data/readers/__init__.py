"""Container formats: one module each, and the folder is the registry.

A reader module has

    SUFFIXES                          file suffixes that it answers to
    looks(head: bytes) -> bool        whether a file's first bytes are its format
    read(source) -> Iterator[Row | Fault]

Rows come in file order, one at a time; a row that cannot be read is a `Fault` and the rows behind it still come.
A fault behind which nothing can be read is a `DataError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import ModuleType

from dizuo import plugins
from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.errors import DataError

__all__ = ["choose", "read"]

_CONTENT_ORDER = ("parquet", "arrow", "json", "jsonl", "delimited", "text")
"""Who looks at a file whose suffix says nothing; plain text takes what is left."""
_ALIASES = {"csv": "delimited", "tsv": "delimited"}


@cache
def load(name: str) -> ModuleType:
    """Return a reader module, or raise the error that lists what exists."""
    return plugins.load(__name__, name, noun="reader")


@cache
def known() -> tuple[str, ...]:
    """Return the names of the readers."""
    return plugins.names(__name__)


def choose(source: SourceFile, asked: str = "auto") -> str:
    """Return the name of the reader for a source: as asked, by suffix, or by looking at the content."""
    if asked != "auto":
        load(_ALIASES.get(asked, asked))
        return _ALIASES.get(asked, asked)
    if source.path.is_dir():
        return "folder"
    with source.binary() as file:
        head = file.read(1 << 16)
    if not head.strip():
        raise DataError(f"{source.name} is empty", hint="check that it was written to its end")
    by_suffix = [name for name in known() if source.suffix in load(name).SUFFIXES]
    if by_suffix == ["json"] and load("jsonl").looks(head):
        return "jsonl"  # many a .json file holds one value per line
    if by_suffix:
        return by_suffix[0]
    for name in _CONTENT_ORDER:
        if load(name).looks(head):
            return name
    return "text"


def read(source: SourceFile, reader: str) -> Iterator[Row | Fault]:
    """Yield the rows of a source with the named reader."""
    rows: Iterator[Row | Fault] = load(reader).read(source)
    return rows
