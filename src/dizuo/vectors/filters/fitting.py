"""A filter within the limits of a database: cut into parts that it takes, or widened where that is not possible.

Databases have limits of their own: so many conditions, so many levels, so many values in a list; some refuse a filter
beyond them, some end. `fit` returns parts that are within the limits, of which no record matches two, and the records
that match the filter are among theirs. Three means are tried in this order, and only where a limit is passed:

1. A list of values is cut: `a and x in [1 … 70,000]` becomes `a and x in [1 … 1,000]` and so on. No record holds two
   values of one key, so the parts are apart, and counts add up.
2. Too many levels are multiplied out, as far as the limit of conditions allows: `a or (b and (c or d))` is
   `a or (b and c) or (b and d)`.
3. What is still too large is left out where that makes the part match more records (all conditions stand without
   negation around And and Or, so leaving one out of an And does); such a part is not exact, and the records that the
   database finds for it are looked at once more (`exact/within_limits.py`).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dizuo.vectors.filters.normalising import FALSE, TRUE, both, either
from dizuo.vectors.filters.tree import And, Compare, Exists, Filter, In, Not, Or, StartsWith

__all__ = ["NO_LIMITS", "FilterLimits", "FilterPart", "count_conditions", "depth", "fit"]

PARTS = 32
"""Most parts that a list is cut into: beyond it, reading records and looking at them is the lesser work."""
MULTIPLIED = 10_000
"""Most conditions that multiplying out may make, where a database has no limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterLimits:
    """What one filter may have so that the database answers it; None is no limit."""

    depth: int | None = None
    """Levels of And and Or around each other; a single condition has none."""
    conditions: int | None = None
    """Conditions; what one counts for, `lists` and `text_order` say."""
    values: int | None = None
    """Values in one list of `in` or `not in`."""
    listed: int | None = None
    """Values in all lists of a filter together."""
    lists: bool = True
    """A list of values counts as one condition; otherwise it counts for as many as it has values."""
    text_order: int = 1
    """Conditions that an order against text, or `startswith`, counts for."""


NO_LIMITS = FilterLimits()


@dataclass(frozen=True, slots=True)
class FilterPart:
    """A filter that is within the limits."""

    filter: Filter
    exact: bool
    """It means what it stands for; otherwise it is wider, and the records are to be compared with the whole filter."""


def fit(filter: Filter, limits: FilterLimits) -> list[FilterPart]:
    """Return the parts of a filter; no record matches two of them. A filter within the limits is one part, itself.

    Args:
        filter: in the form that `normalise` returns.
        limits: of the database.
    """
    if _is_within(filter, limits):
        return [FilterPart(filter, True)]
    flat, same = filter, True
    if limits.depth is not None:
        flat, same = _flatten(filter, limits.depth, limits)
    lists, rest = _cut(flat, limits)
    return [_shrink(values, rest, limits, same) for values in lists]


def depth(filter: Filter) -> int:
    """Return the levels of And and Or; a truth value has none."""
    if isinstance(filter, And | Or):
        return max((1 + depth(operand) for operand in filter.filters), default=0)
    return depth(filter.filter) if isinstance(filter, Not) else 0


def count_conditions(filter: Filter, limits: FilterLimits) -> int:
    """Return how many conditions a filter counts for."""
    match filter:
        case And(filters) | Or(filters):
            return sum(count_conditions(operand, limits) for operand in filters)
        case Not(inner):
            return count_conditions(inner, limits)
        case In(_, values):
            return 1 if limits.lists else len(values)
        case StartsWith() | Compare(_, "<" | "<=" | ">" | ">=", str()):
            return limits.text_order
    return 1


def _is_within(filter: Filter, limits: FilterLimits) -> bool:
    return (
        (limits.values is None or _longest(filter) <= limits.values)
        and (limits.listed is None or _count_listed(filter) <= limits.listed)
        and (limits.depth is None or depth(filter) <= limits.depth)
        and (limits.conditions is None or count_conditions(filter, limits) <= limits.conditions)
    )


def _longest(filter: Filter) -> int:
    """Return the number of values of the longest list."""
    if isinstance(filter, And | Or):
        return max((_longest(operand) for operand in filter.filters), default=0)
    if isinstance(filter, Not):
        return _longest(filter.filter)
    return len(filter.values) if isinstance(filter, In) else 0


def _count_listed(filter: Filter) -> int:
    """Return the number of values of all lists."""
    if isinstance(filter, And | Or):
        return sum(map(_count_listed, filter.filters))
    if isinstance(filter, Not):
        return _count_listed(filter.filter)
    return len(filter.values) if isinstance(filter, In) else 0


# ---- 1: lists are cut


def _cut(filter: Filter, limits: FilterLimits) -> tuple[list[Filter], Filter]:
    """Return the longest list of the filter in pieces, and the rest of the And in which it stands.

    A filter whose lists all stand below an Or or a Not, or are short enough, is all rest.
    """
    conjuncts = list(filter.filters) if isinstance(filter, And) and filter.filters else [filter]
    place = max(range(len(conjuncts)), key=lambda index: _values(conjuncts[index]))
    longest = conjuncts[place]
    rest = [conjunct for index, conjunct in enumerate(conjuncts) if index != place]
    if isinstance(longest, In):
        size = min(most for most in (len(longest.values), limits.values, limits.listed) if most is not None)
        if limits.conditions is not None and not limits.lists:
            asked = sum(count_conditions(conjunct, limits) for conjunct in rest)
            size = min(size, max(1, limits.conditions - min(asked, limits.conditions // 2)))
        if size < len(longest.values) <= PARTS * size:
            return [_in(longest.key, values) for values in _pieces(longest.values, size)], both(rest)
    return [TRUE], filter


def _values(filter: Filter) -> int:
    return len(filter.values) if isinstance(filter, In) else 0


def _in(key: str, values: Sequence[object]) -> Filter:
    return In(key, tuple(values))  # type: ignore[arg-type]


# ---- 2: levels are multiplied out


def _flatten(filter: Filter, levels: int, limits: FilterLimits) -> tuple[Filter, bool]:
    """Return the filter with at most this many levels, and whether it means the same."""
    if depth(filter) <= levels:
        return filter, True
    if levels == 2:
        most = limits.conditions if limits.conditions is not None else MULTIPLIED
        if (clauses := _multiply_out(filter, Or, most, limits)) is not None:
            return either(map(both, clauses)), True
        if (clauses := _multiply_out(filter, And, most, limits)) is not None:
            return both(map(either, clauses)), True
    if levels >= 3 or (levels > 0 and isinstance(filter, And)):
        # The upper levels stay as they are: what is multiplied out below them is smaller.
        assert isinstance(filter, And | Or)
        parts = [_flatten(operand, levels - 1, limits) for operand in filter.filters]
        join = both if isinstance(filter, And) else either
        return join(part for part, _ in parts), all(same for _, same in parts)
    wide = _widen(filter)
    return (wide if depth(wide) <= levels else TRUE), False


def _multiply_out(
    filter: Filter, outer: type[And] | type[Or], most: int, limits: FilterLimits
) -> list[tuple[Filter, ...]] | None:
    """Return the filter as clauses: an `outer` of single conditions joined by the other; None beyond `most` conditions.

    For Or this is the disjunctive normal form, for And the conjunctive one.
    """
    if not isinstance(filter, And | Or):
        return [(filter,)]
    parts: list[list[tuple[Filter, ...]]] = []
    for operand in filter.filters:
        clauses = _multiply_out(operand, outer, most, limits)
        if clauses is None:
            return None
        parts.append(clauses)
    if isinstance(filter, outer):
        joined = [clause for clauses in parts for clause in clauses]
    else:
        joined = [()]
        for clauses in parts:
            if len(joined) * len(clauses) > most:
                return None
            joined = [left + right for left in joined for right in clauses]
    cost = functools.partial(count_conditions, limits=limits)
    return joined if sum(cost(condition) for clause in joined for condition in clause) <= most else None


# ---- 3: what is too large is left out


def _shrink(values: Filter, rest: Filter, limits: FilterLimits, same: bool) -> FilterPart:
    """Return the part of these values (or `TRUE`), with a rest that is wider where it cannot be within the limits."""
    short, exact = _shorten_lists(rest, limits)
    listed = None if limits.listed is None else limits.listed - _count_listed(values)
    if listed is not None and _count_listed(short) > listed:
        short, exact = _without_lists(short), False
    room = limits.conditions
    if room is not None and values != TRUE:
        room -= count_conditions(values, limits)
    if room is not None and count_conditions(short, limits) > room:
        short, exact = _leave_out(short, room, limits), False
    whole = both([values, short], lists=False)
    if limits.depth is not None and depth(whole) > limits.depth:  # a list was cut where no level was left for that
        whole, exact = values, False
    return FilterPart(whole, same and exact)


def _shorten_lists(filter: Filter, limits: FilterLimits) -> tuple[Filter, bool]:
    """Return the filter with lists of at most `limits.values`, and whether it means the same."""
    if limits.values is None or _longest(filter) <= limits.values:
        return filter, True
    match filter:
        case And(filters) | Or(filters):
            parts = [_shorten_lists(operand, limits) for operand in filters]
            return type(filter)(tuple(part for part, _ in parts)), all(same for _, same in parts)
        case In(key, values):
            return Or(tuple(_in(key, part) for part in _pieces(values, limits.values))), True
        case Not(In(key, values)):
            return And(tuple(Not(_in(key, part)) for part in _pieces(values, limits.values))), True
    raise AssertionError(filter)


def _without_lists(filter: Filter) -> Filter:
    """Return a wider filter without lists."""
    match filter:
        case And(filters):
            return both(map(_without_lists, filters), lists=False)
        case Or(filters):
            return either(map(_without_lists, filters), lists=False)
        case In() | Not(In()):
            return _widen(filter)
    return filter


def _pieces(values: Sequence[object], size: int) -> Iterable[Sequence[object]]:
    return (values[start : start + size] for start in range(0, len(values), size))


def _leave_out(filter: Filter, room: int, limits: FilterLimits) -> Filter:
    """Return a filter of at most `room` conditions that all records match which match the filter."""
    cost: Callable[[Filter], int] = functools.partial(count_conditions, limits=limits)
    if cost(filter) <= room:
        return filter
    if isinstance(filter, And):
        kept: list[Filter] = []
        for operand in sorted(filter.filters, key=cost):
            smaller = _leave_out(operand, room, limits)
            room -= cost(smaller)
            kept.append(smaller)
        return both(kept, lists=False)
    wide = _widen(filter)
    return wide if cost(wide) <= room else TRUE


def _widen(filter: Filter) -> Filter:
    """Return the filter that one of its keys exists, as far as the filter asks for that: few conditions, in one Or."""
    keys = _needed_keys(filter)
    return TRUE if keys is None else either(Exists(key) for key in sorted(keys)) if keys else FALSE


def _needed_keys(filter: Filter) -> frozenset[str] | None:
    """Return keys of which every record that matches has one; None if a record without any key may match."""
    match filter:
        case Not():
            return None
        case And(filters):
            found = [keys for operand in filters if (keys := _needed_keys(operand)) is not None]
            return min(found, key=len, default=None)
        case Or(filters):
            each = [_needed_keys(operand) for operand in filters]
            return None if None in each else frozenset().union(*(keys for keys in each if keys is not None))
        case In(_, ()):
            return frozenset()
    return frozenset({filter.key})  # type: ignore[attr-defined]
