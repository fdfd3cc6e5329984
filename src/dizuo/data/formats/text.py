"""Running text: one string column, trained whole and without a template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns
from dizuo.records import Text

KIND = Text
NEEDS = ("text",)

_WEAK = ("title", "headline", "message", "comment", "body")


def fits(row: Mapping[str, Any], columns: Columns) -> set[str] | None:
    """A string text; a lone title, message or comment is too weak a sign."""
    name = columns.name(row, "text")
    if name is None or not isinstance(row[name], str):
        return None
    return None if name.lower() in _WEAK and "text" not in columns.asked else {name}


def read(row: Mapping[str, Any], columns: Columns, options: PrepareOptions) -> Iterator[Text]:
    """One text."""
    yield Text(columns.string(row, "text"))
