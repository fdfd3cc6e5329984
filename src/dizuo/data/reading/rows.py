"""Yields the rows of all sources as they are to be read: classes by name, and without the keys that a user ignores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dizuo.data import readers
from dizuo.data.reading.columns import RowError, describe
from dizuo.data.reading.files import Cells, Fault, Row, SourceFile
from dizuo.data.reading.keys import Ignored
from dizuo.data.reading.sources import Part
from dizuo.records import Json, Origin

__all__ = ["place_of", "read_rows"]


def read_rows(
    parts: Sequence[Part], names: Sequence[str], ignored: Ignored, *, by_id: bool
) -> Iterator[tuple[int, Row | Fault]]:
    """Yield (number of the part, row or fault) in the order of the sources.

    Args:
        parts: the sources.
        names: the reader of each.
        ignored: keys that are taken out of the rows.
        by_id: leave numbers of classes as they are, because the user names the classes.
    """
    for number, (part, name) in enumerate(zip(parts, names)):
        for row in readers.read(part.source, name):
            if isinstance(row, Row):
                row = _as_wanted(row, part.source, ignored, by_id=by_id)
            yield number, row


def place_of(row: Row | Fault, source: SourceFile) -> str:
    """Return where a row stands, as in `tickets.csv:17`."""
    return str(Origin(row.file or source.name, row.line, row.path))


def _as_wanted(row: Row, source: SourceFile, ignored: Ignored, *, by_id: bool) -> Row | Fault:
    value = row.value
    if source.class_names and not by_id:
        try:
            value = _with_names(value, source.class_names)
        except RowError as error:
            return Fault(row.line, str(error), file=row.file, path=row.path)
    if ignored.names:
        value = ignored.take_out(value, place_of(row, source))
    return row if value is row.value else replace(row, value=value)


def _with_names(row: Cells, class_names: dict[str, tuple[str, ...]]) -> Cells:
    """Return a row with the names of its classes; -1 stands for none, as in the test sets of the Hugging Face hub."""
    return {key: _name_of(value, class_names[key], key) if key in class_names else value for key, value in row.items()}


def _name_of(value: Json, names: tuple[str, ...], column: str) -> Json:
    if isinstance(value, list):
        return [_name_of(item, names, column) for item in value]
    if value is None or value == -1 or (isinstance(value, str) and value in names):
        return None if value == -1 else value
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(names):
        shown = repr(value) if isinstance(value, str) else describe(value)
        raise RowError(f"{column} is {shown}, and the file names {len(names)} classes, from 0")
    return names[number]
