"""A filter in the simplest form that means the same: what `VectorStore` hands to every database.

- `Not` stands around single conditions only; `!=` becomes `Not` around `==`.
- And and Or alternate: an Or inside an Or is one wider Or, and conditions that stand twice stand once.
- What is always true or never true is gone, or is all that is left (`TRUE`, `FALSE`).
- Equalities of one key are one list: `x == 1 or x in [2, 3]` is `x in [1, 2, 3]`, and `x != 1 and x != 2` is
  `x not in [1, 2]`. Databases look a list up at once, and compare with alternatives one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from dizuo.errors import VectorError
from dizuo.vectors.filters.tree import And, Compare, Contains, Filter, In, Not, Or, Scalar, negations_inside

__all__ = ["DEEPEST", "FALSE", "TRUE", "both", "check_depth", "either", "normalise"]

T = TypeVar("T")
DEEPEST = 200
"""Levels of nesting that a filter may have. Beyond it Python's own stack is what ends the work."""
TRUE, FALSE = And(()), Or(())


def check_depth(filter: Filter) -> None:
    """Refuse a filter that nests deeper than `DEEPEST` levels of and, or and not.

    Raises:
        VectorError: it does; the message has the number of levels.
    """
    level, depth = [filter], 0
    while level:
        level = [inner for node in level for inner in _inner(node)]
        depth += 1
    if depth - 1 > DEEPEST:
        raise VectorError(
            f"the filter nests {depth - 1:,} levels deep, and {DEEPEST} is the most",
            hint="conditions that are all joined by & (or all by |) need no brackets; of one key's values make in_",
        )


def _inner(filter: Filter) -> tuple[Filter, ...]:
    if isinstance(filter, Not):
        return (filter.filter,)
    return filter.filters if isinstance(filter, And | Or) else ()


def normalise(filter: Filter, *, lists: bool = True) -> Filter:
    """Return the simplest form of a filter that means the same.

    Args:
        filter: no deeper than `DEEPEST`.
        lists: make lists of equalities of one key, for databases that have the operator `in`.
    """
    return _simplify(negations_inside(filter), lists)


def both(filters: Iterable[Filter], *, lists: bool = True) -> Filter:
    """Return the simplest form of the And of filters that are in it already."""
    parts = _distinct(_join(filters, And))
    if FALSE in parts:
        return FALSE
    parts = [part for part in parts if part != TRUE]
    if lists:
        parts = _list_equalities(parts, negated=True)
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def either(filters: Iterable[Filter], *, lists: bool = True) -> Filter:
    """Return the simplest form of the Or of filters that are in it already."""
    parts = _distinct(_join(filters, Or))
    if TRUE in parts:
        return TRUE
    parts = [part for part in parts if part != FALSE]
    if lists:
        parts = _list_equalities(parts, negated=False)
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _simplify(filter: Filter, lists: bool) -> Filter:
    match filter:
        case And(filters):
            return both([_simplify(operand, lists) for operand in filters], lists=lists)
        case Or(filters):
            return either([_simplify(operand, lists) for operand in filters], lists=lists)
        case Not(In(key, values)):
            return Not(_one_list(key, values, lists)) if values else TRUE
        case In(key, values):
            return _one_list(key, values, lists) if values else FALSE
    return filter


def _one_list(key: str, values: Iterable[Scalar], lists: bool) -> In | Compare:
    distinct = _distinct(values)
    return Compare(key, "==", distinct[0]) if lists and len(distinct) == 1 else In(key, tuple(distinct))


def _join(filters: Iterable[Filter], kind: type[And] | type[Or]) -> Iterator[Filter]:
    for filter in filters:
        # An empty And or Or is a truth value, and no place to look for conditions.
        if isinstance(filter, kind) and filter.filters:
            yield from filter.filters
        else:
            yield filter


def _distinct(items: Iterable[T]) -> list[T]:
    """Return the first of all conditions, or values, that mean the same."""
    held: dict[Any, T] = {}
    for item in items:
        held.setdefault(_identity(item), item)
    return list(held.values())


def _identity(value: Any) -> Any:
    """Return what is equal for conditions and values of the same meaning only: Python says that True equals 1."""
    match value:
        case bool():
            return "bool", value
        case And(filters) | Or(filters):
            return type(value), tuple(map(_identity, filters))
        case Not(inner):
            return Not, _identity(inner)
        case Compare(key, operator, right):
            return Compare, key, operator, _identity(right)
        case In(key, values):
            return In, key, tuple(map(_identity, values))
        case Contains(key, element):
            return Contains, key, _identity(element)
    return value


def _list_equalities(filters: list[Filter], *, negated: bool) -> list[Filter]:
    """Return the filters with one list for each key that is compared by `==` or `in`, where the first of them stood.

    Args:
        filters: of an Or, or of an And if `negated`.
        negated: look for `Not` around equalities.
    """
    values: dict[str, list[Scalar]] = {}
    for filter in filters:
        for key, more in _equalities(filter, negated):
            values.setdefault(key, []).extend(more)
    out: list[Filter] = []
    for filter in filters:
        found = _equalities(filter, negated)
        if not found:
            out.append(filter)
        elif held := values.pop(found[0][0], None):
            one = _one_list(found[0][0], held, True)
            out.append(Not(one) if negated else one)
    return out


def _equalities(filter: Filter, negated: bool) -> list[tuple[str, tuple[Scalar, ...]]]:
    """Return key and values if this is an equality or a list of them; otherwise nothing."""
    if negated:
        if not isinstance(filter, Not):
            return []
        filter = filter.filter
    match filter:
        case Compare(key, "==", value):
            return [(key, (value,))]
        case In(key, values):
            return [(key, values)]
    return []
