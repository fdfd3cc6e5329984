"""Whether a record matches a filter: the definition of what filters mean, which every database is tested against."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dizuo.vectors.filters.tree import And, Compare, Contains, Exists, Filter, In, Not, Operator, Or, StartsWith
from dizuo.vectors.points import JSON, Metadata

__all__ = ["equal", "matcher", "matches"]


def equal(left: JSON, right: JSON) -> bool:
    """Return whether two scalars are equal as filters compare them: True is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float):
        return isinstance(right, int | float) and left == right
    if isinstance(left, str):
        return isinstance(right, str) and left == right
    return left is None and right is None


_MISSING: Any = object()
FEW = 8
"""Values of a list that are gone through one by one."""


def matches(filter: Filter, metadata: Metadata) -> bool:
    """Return whether a record with this metadata matches the filter. This function is the meaning of filters."""
    match filter:
        case Compare(key, operator, value):
            held = metadata.get(key, _MISSING)
            if operator == "==":
                return held is not _MISSING and equal(held, value)
            if operator == "!=":
                return held is _MISSING or not equal(held, value)
            return _compare(operator, held, value)
        case In(key, values):
            held = metadata.get(key, _MISSING)
            return held is not _MISSING and any(equal(held, value) for value in values)
        case Exists(key):
            return key in metadata
        case Contains(key, value):
            held = metadata.get(key)
            return isinstance(held, list) and any(equal(element, value) for element in held)
        case StartsWith(key, prefix):
            held = metadata.get(key)
            return isinstance(held, str) and held.startswith(prefix)
        case And(filters):
            return all(matches(operand, metadata) for operand in filters)
        case Or(filters):
            return any(matches(operand, metadata) for operand in filters)
        case Not(inner):
            return not matches(inner, metadata)
    raise AssertionError(filter)


def _compare(operator: Operator, held: Any, value: Any) -> bool:
    if isinstance(held, bool):
        return False
    number = isinstance(held, int | float) and isinstance(value, int | float)
    if not number and not (isinstance(held, str) and isinstance(value, str)):
        return False
    if operator == "<":
        return bool(held < value)
    if operator == "<=":
        return bool(held <= value)
    return bool(held > value) if operator == ">" else bool(held >= value)


def matcher(filter: Filter | None) -> Callable[[Metadata], bool]:
    """Return `matches` for one filter and many records; without a filter all metadata does.

    Long lists are looked up, not gone through: a filter may name 70,000 values.
    """
    if filter is None:
        return lambda metadata: True
    match filter:
        case In(key, values) if len(values) > FEW:
            listed = {_identity(value) for value in values}
            return lambda metadata: key in metadata and _identity(metadata[key]) in listed
        case And(filters):
            tests = [matcher(operand) for operand in filters]
            return lambda metadata: all(test(metadata) for test in tests)
        case Or(filters):
            tests = [matcher(operand) for operand in filters]
            return lambda metadata: any(test(metadata) for test in tests)
        case Not(inner):
            test = matcher(inner)
            return lambda metadata: not test(metadata)
    return lambda metadata: matches(filter, metadata)


def _identity(value: Any) -> Any:
    """Return what two values have in common if `equal` says so; a list or a mapping equals nothing."""
    if isinstance(value, bool):
        return bool, value
    return value if value is None or isinstance(value, int | float | str) else _MISSING
