"""Filters as SQL over LanceDB's columns: `shadow`, a JSON column of sort keys, or a column for each hot key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dizuo.vectors.exact.sort_keys import element_key, key_range, sort_key
from dizuo.vectors.filters.tree import And, Compare, Contains, Exists, Filter, In, Not, Or, StartsWith, negations_inside

__all__ = ["compile_filter", "ids_condition", "row_key", "shadow_value"]


def compile_filter(where: Filter | None, *, namespace: str | None, hot: Mapping[str, str]) -> str:
    """Return a filter as a condition in SQL; `true` if all rows match.

    Args:
        where: the filter.
        namespace: whose rows, or None for all.
        hot: the column by metadata key, of the keys that have one.
    """
    inside = [] if namespace is None else [f"namespace = {_quote(namespace)}"]
    matching = [] if where is None else [_write_condition(negations_inside(where), hot)]
    return " AND ".join(inside + matching) or "true"


def ids_condition(namespace: str, ids: Sequence[str]) -> str:
    """Return the condition that a row has one of these ids."""
    return f"key IN ({', '.join(_quote(row_key(namespace, id)) for id in ids)})"


def row_key(namespace: str, id: str) -> str:
    """Return the key of a row, which no other row has: a namespace has no control characters."""
    return f"{namespace}\x1f{id}"


def shadow_value(key: str) -> str:
    """Return the SQL for the sort key under a metadata key that has no column; null where it is missing."""
    return f"json_get_string(shadow, {_quote(key)})"


def _write_condition(filter: Filter, hot: Mapping[str, str]) -> str:
    match filter:
        case And(filters):
            return f"({' AND '.join(_write_condition(operand, hot) for operand in filters)})" if filters else "true"
        case Or(filters):
            return f"({' OR '.join(_write_condition(operand, hot) for operand in filters)})" if filters else "false"
        case Not(inner):
            return f"(NOT {_write_condition(inner, hot)})"
        case Exists(key):
            return f"({_column_of(key, hot)} IS NOT NULL)"
        case In(_, ()):
            return "false"
        case In(key, values):
            return _never_null(f"{_column_of(key, hot)} IN ({', '.join(_quote(sort_key(value)) for value in values)})")
        case Compare(key, "==", value):
            return _never_null(f"{_column_of(key, hot)} = {_quote(sort_key(value))}")
        case Contains(key, value):
            text = _column_of(key, hot)
            return _never_null(f"starts_with({text}, 'l') AND contains({text}, {_quote(element_key(value))})")
        case StartsWith(key, prefix):
            return _never_null(f"starts_with({_column_of(key, hot)}, {_quote('s' + prefix)})")
        case Compare(key):
            low, high = key_range(filter)
            text = _column_of(key, hot)
            return _never_null(f"{text} >= {_quote(low)} AND {text} < {_quote(high)}")
    raise AssertionError(filter)


def _column_of(key: str, hot: Mapping[str, str]) -> str:
    return hot[key] if key in hot else shadow_value(key)


def _never_null(condition: str) -> str:
    return f"coalesce({condition}, false)"


def _quote(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
