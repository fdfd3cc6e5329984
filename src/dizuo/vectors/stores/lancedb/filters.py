"""Filters as SQL over LanceDB's columns: `shadow`, a JSON column of sortable texts, or a column for each hot key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dizuo.vectors.exact.sort_keys import element_key, key_range, sort_key
from dizuo.vectors.filters.tree import And, Compare, Contains, Exists, Filter, In, Not, Or, StartsWith, negations_inside

__all__ = ["compile_filter", "ids_condition", "row_key", "shadow_value"]


def compile_filter(where: Filter | None, *, namespace: str | None, hot: Mapping[str, str]) -> str:
    """Return a condition; `true` where nothing is left out.

    Args:
        where: which rows.
        namespace: of these rows, or None for all.
        hot: column by metadata key, of the keys that have one.
    """
    inside = [] if namespace is None else [f"namespace = {_text(namespace)}"]
    matching = [] if where is None else [_sql(negations_inside(where), hot)]
    return " AND ".join(inside + matching) or "true"


def ids_condition(namespace: str, ids: Sequence[str]) -> str:
    """Return the condition that a row has one of these ids."""
    return f"key IN ({', '.join(_text(row_key(namespace, id)) for id in ids)})"


def row_key(namespace: str, id: str) -> str:
    """Return what tells a row from all others; no namespace has a control character."""
    return f"{namespace}\x1f{id}"


def shadow_value(key: str) -> str:
    """Return the sortable text of a key that has no column, null where it is missing."""
    return f"json_get_string(shadow, {_text(key)})"


def _sql(filter: Filter, hot: Mapping[str, str]) -> str:
    match filter:
        case And(filters):
            return f"({' AND '.join(_sql(one, hot) for one in filters)})" if filters else "true"
        case Or(filters):
            return f"({' OR '.join(_sql(one, hot) for one in filters)})" if filters else "false"
        case Not(inner):
            return f"(NOT {_sql(inner, hot)})"
        case Exists(key):
            return f"({_value(key, hot)} IS NOT NULL)"
        case In(_, ()):
            return "false"
        case In(key, values):
            return _true(f"{_value(key, hot)} IN ({', '.join(_text(sort_key(value)) for value in values)})")
        case Compare(key, "==", value):
            return _true(f"{_value(key, hot)} = {_text(sort_key(value))}")
        case Contains(key, value):
            text = _value(key, hot)
            return _true(f"starts_with({text}, 'l') AND contains({text}, {_text(element_key(value))})")
        case StartsWith(key, prefix):
            return _true(f"starts_with({_value(key, hot)}, {_text('s' + prefix)})")
        case Compare(key):
            low, high = key_range(filter)
            text = _value(key, hot)
            return _true(f"{text} >= {_text(low)} AND {text} < {_text(high)}")
    raise AssertionError(filter)


def _value(key: str, hot: Mapping[str, str]) -> str:
    return hot[key] if key in hot else shadow_value(key)


def _true(condition: str) -> str:
    return f"coalesce({condition}, false)"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
