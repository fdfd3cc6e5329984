"""Finds labels that are no classes: values that stand for a missing one, and one class written in several ways.

Files that went through a spreadsheet or a data frame hold `nan` and `None`, `0` beside `0.0`, `False` beside `false`,
lists as text. Each becomes a class of its own unless somebody says what it is; so they are an error that names the
setting. A label that `prepare.spellings` names is reviewed, and is never asked about again.
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dizuo.data.checks.identity import normalise
from dizuo.data.options import PrepareOptions
from dizuo.errors import DataError

__all__ = ["check_label_names", "split_labels"]

MISSING = {
    "nan", "NaN", "NAN", "None", "NULL", "Null", "null", "nil", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaT",
    "undefined",
}  # fmt: skip
"""What programs write for a missing value. The word `none` in small letters is a class of many data sets."""
_SEPARATORS = (";", "|", ",", "/", "+")
_SHOWN = 8


def check_label_names(counts: Mapping[str, int], *, options: PrepareOptions, name: str) -> None:
    """Refuse labels that look like mistakes.

    Args:
        counts: rows by label.
        options: what the user said of labels.
        name: how the error calls the data.

    Raises:
        DataError: naming every such label with its rows, and what to set.
    """
    if options.labels:
        return  # every label is named
    reviewed = {*options.spellings, *options.spellings.values()}
    left = {label: count for label, count in counts.items() if label not in reviewed}
    details: list[str] = []
    hints: list[str] = []
    missing = [label for label in left if label in MISSING] if options.missing is None else []
    if missing:
        details += [f"{_quoted(missing, counts)}: a missing label, as programs write it"]
        shown = json.dumps(missing, ensure_ascii=False)
        hints.append(f"missing: {shown} makes bad rows of them (missing: [] keeps them as classes)")
    lists = [label for label in left if label not in missing and _parse_list(label) is not None]
    if lists:
        details.append(f"{_quoted(lists, counts)}: a list written as text")
        hints.append("label_separator: list reads them")
    else:
        for separator in _SEPARATORS:
            several = _hold_several(left, separator)
            if several:
                details.append(f"{_quoted(several, counts)}: several labels with {separator!r} between them")
                hints.append(f'label_separator: "{separator}" reads them')
                break
    spellings: dict[str, str] = {}
    for twins in _twins(label for label in left if label not in missing and label not in lists):
        usual = max(twins, key=lambda label: (counts[label], -len(label), label))
        details.append(f"{_quoted(twins, counts)}: one label written in {len(twins)} ways")
        spellings |= {label: usual for label in twins if label != usual}
    if spellings:
        hints.append(
            f"spellings: {json.dumps(spellings, ensure_ascii=False)} makes one of them "
            "(name a label as itself where both are right)"
        )
    if details:
        raise DataError(f"labels of {name} look like mistakes", details=details, hint="; ".join(hints))


def split_labels(cell: str, separator: str) -> list[str]:
    """Return the labels of one cell.

    Args:
        cell: such as `"x;y"`, or `"['x', 'y']"`.
        separator: what stands between them; `list` for a list written as JSON or as Python does.

    >>> split_labels("x; y", ";"), split_labels("['x', 'y']", "list")
    (['x', 'y'], ['x', 'y'])
    """
    if separator != "list":
        return [part.strip() for part in cell.split(separator) if part.strip()]
    parsed = _parse_list(cell)
    return [cell] if parsed is None else parsed


def _parse_list(cell: str) -> list[str] | None:
    """Return the items of a list that is written as text, or None for any other text."""
    text = cell.strip()
    if not (text.startswith(("[", "(", "{")) and text.endswith(("]", ")", "}"))):
        return None
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return None
    if not isinstance(value, list | tuple | set) or not all(isinstance(item, str | int) for item in value):
        return None
    return [str(item) for item in (sorted(map(str, value)) if isinstance(value, set) else value)]


def _hold_several(labels: Iterable[str], separator: str) -> list[str]:
    """Return the labels that are made of others: each part is a label by itself, or stands in another one as well."""
    parts = {label: split_labels(label, separator) for label in labels}
    held = Counter(part for pieces in parts.values() for part in set(pieces))
    return [
        label
        for label, pieces in parts.items()
        if len(pieces) > 1
        and all(part in parts or held[part] > 1 for part in pieces)
        and any(part in parts for part in pieces)
    ]


def _twins(labels: Iterator[str]) -> list[list[str]]:
    """Return the groups of labels that say the same: one number, or one word in another case or punctuation."""
    groups: dict[object, list[str]] = {}
    for label in labels:
        groups.setdefault(_folded(label), []).append(label)
    return [sorted(group) for group in groups.values() if len(group) > 1]


def _folded(label: str) -> object:
    try:
        return float(label) if label.isascii() and "_" not in label else normalise(label)
    except ValueError:
        return normalise(label)


def _quoted(labels: Sequence[str], counts: Mapping[str, int]) -> str:
    shown = [f"{label!r} ({counts[label]:,} row{'s' if counts[label] != 1 else ''})" for label in labels[:_SHOWN]]
    more = f" and {len(labels) - _SHOWN:,} more" if len(labels) > _SHOWN else ""
    return ", ".join(shown) + more
