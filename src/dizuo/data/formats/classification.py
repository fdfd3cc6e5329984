"""Classification, a text and its label or labels: a text column and `label`, `category`, `intent`, …"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.formats import Format
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError, describe
from dizuo.data.reading.files import Cells
from dizuo.errors import did_you_mean
from dizuo.records import Json, Labelled


def fits(row: Cells, columns: Columns) -> set[str] | None:
    """Return the columns of a string text and a label: a string, a whole number, true or false, or a list of them."""
    if not isinstance(columns.get(row, "text"), str) or columns.name(row, "text") == columns.name(row, "label"):
        return None
    label = columns.get(row, "label")
    plain = isinstance(label, str | int) or (isinstance(label, float) and label.is_integer())
    several = isinstance(label, list) and all(isinstance(item, str | int) for item in label)
    if not plain and not several:
        return None
    return {str(columns.name(row, "text")), str(columns.name(row, "label"))}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Labelled]:
    """Yield one labelled text; several labels are sorted."""
    text = columns.string(row, "text").strip()
    value = columns.need(row, "label")
    column = str(columns.name(row, "label"))
    if isinstance(value, list):
        if not value:
            raise RowError(f"{column} is an empty list")
        yield Labelled(text, tuple(sorted({_label(item, column, options) for item in value})))
    else:
        yield Labelled(text, (_label(value, column, options),))


def _label(value: Json, column: str, options: PrepareOptions) -> str:
    if isinstance(value, bool):
        label = str(value).lower()
    elif isinstance(value, int | str):
        label = str(value).strip()
    elif isinstance(value, float) and value.is_integer():
        label = str(int(value))
    else:
        raise RowError(f"{column} is {describe(value)}, not a string or a whole number")
    if not label:
        raise RowError(f"{column} is empty")
    if options.labels:
        if label not in options.labels:
            known = ", ".join(list(options.labels)[:8])
            raise RowError(f"{column} is {label!r}{did_you_mean(label, options.labels)}; the labels are {known}")
        return options.labels[label]
    return label


FORMAT = Format(makes=(Labelled,), needs=("text", "label"), fits=fits, read=read)
