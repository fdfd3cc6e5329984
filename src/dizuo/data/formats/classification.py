"""Classification, a text and its label or labels: a text column and `label`, `category`, `intent`, …

Two texts that are judged together (`text` with `text_pair`, `premise` with `hypothesis`) are one input, a blank line
between them.
"""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.checks.label_names import split_labels
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
    used = {columns.name(row, role) for role in ("text", "label", "text_pair")}
    return {str(name) for name in used if name is not None}


def read(row: Cells, columns: Columns, options: PrepareOptions) -> Iterator[Labelled]:
    """Yield one labelled text; several labels are sorted."""
    text = columns.string(row, "text").strip()
    if (pair := columns.name(row, "text_pair")) is not None and pair != columns.name(row, "text"):
        text = f"{text}\n\n{columns.string(row, 'text_pair').strip()}"
    value = columns.need(row, "label")
    column = str(columns.name(row, "label"))
    if isinstance(value, str) and options.label_separator:
        value = [*split_labels(value, options.label_separator)]
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
    if label in (options.missing or ()):
        raise RowError(f"{column} is {label!r}, which stands for a missing one")
    label = options.spellings.get(label, label)
    if options.labels:
        if label not in options.labels:
            known = ", ".join(list(options.labels)[:8])
            raise RowError(f"{column} is {label!r}{did_you_mean(label, options.labels)}; the labels are {known}")
        return options.labels[label]
    return label


FORMAT = Format(makes=(Labelled,), needs=("text", "label"), fits=fits, read=read)
