"""Conditions over tags and numbers in the language of Redis' search module.

What the module gets wrong in nested queries (RediSearch 2.10.5; 4,000 generated filters, each asked in six ways), and
what is done about it:

- It estimates how many records each part of a query has. An intersection with a word that no record has counts for
  2^32 - 1, which is also what it takes for "this cannot be answered": a search by vector then finds nothing at all
  (`NewHybridVectorIterator`; the same lines are in 8.2). It happens where every side of an And is an Or with such an
  intersection inside, since an And takes the least of its sides. So an And that has no side with an estimate of its own
  gets one: the tag that all records have. And a number that no record has is never asked for.
- Reading a query from its beginning is right. Skipping in it to a record is not: an intersection that is skipped to may
  lose records (`II_SkipTo`), and a negation in a union tells its neighbour of a record that it lacks (`UI_SkipTo`). So
  filters are multiplied out, to one Or of Ands of single conditions, as long as these are not too many (`readable`);
  and nothing is put around a filter that would skip in it: a window of a scan stands inside of the filter's own Ands
  (`write_window`), `INKEYS` is not used, and a search by vector goes through all records that match instead of skipping
  from batch to batch where a filter has a negation in an Or (`may_skip`).
"""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.vectors.exact.tags_and_numbers import (
    FALSE,
    ON_EVERY_RECORD,
    TRUE,
    AllOf,
    AnyOf,
    Condition,
    Has,
    Lacks,
    Number,
    all_of,
    any_of,
    split_tags,
)

__all__ = ["may_skip", "number_columns", "readable", "write_query", "write_window"]

NEVER = "@t:{none}"
WIDE = 16
"""Sides of an Or, and Ands of a filter that was multiplied out: from 20 on (UNION_ITERATOR_HEAP) the module reads a
union in another way, which loses records where one of its sides has a negation."""


def number_columns(condition: Condition) -> set[str]:
    """Return the numbers that a condition reads."""
    match condition:
        case Number(column, _, _):
            return {column}
        case AllOf(parts) | AnyOf(parts):
            return {name for part in parts for name in number_columns(part)}
    return set()


def readable(condition: Condition, slots: Mapping[str, str]) -> Condition:
    """Return a condition that means the same, without unknown numbers, and multiplied out where that is not too much.

    Args:
        condition: over tags and numbers.
        slots: the fields of the index by number.
    """
    known = _without_unknown(condition, slots)
    clauses = _multiply_out(known)
    return known if clauses is None else any_of(clauses)


def _multiply_out(condition: Condition) -> list[Condition] | None:
    """Return Ands of conditions in which the module need not skip, of which one holds; None where these are many."""
    if isinstance(condition, AnyOf) and all(isinstance(part, Has | Number) for part in condition.parts):
        return [condition]
    if isinstance(condition, AnyOf):
        several = [_multiply_out(part) for part in condition.parts]
        joined = [clause for clauses in several for clause in clauses or []]
        return joined if None not in several and len(joined) <= WIDE else None
    if not isinstance(condition, AllOf):
        return [condition]
    product: list[Condition] = [TRUE]
    alone: list[Condition] = []  # put together once: an And may have 70,000 sides
    for part in condition.parts:
        clauses = _multiply_out(part)
        if clauses is None or len(product) * len(clauses) > WIDE:
            return None
        if len(clauses) == 1:
            alone += clauses
        else:
            product = [all_of([left, right]) for left in product for right in clauses]
    return [all_of([*alone, clause]) for clause in product]


def _without_unknown(condition: Condition, slots: Mapping[str, str]) -> Condition:
    """Return the condition without numbers that have no field in the index: no record has them."""
    match condition:
        case Number(column, _, _):
            return condition if column in slots else FALSE
        case AllOf(parts):
            return all_of([_without_unknown(part, slots) for part in parts])
        case AnyOf(parts):
            return any_of([_without_unknown(part, slots) for part in parts])
    return condition


def may_skip(condition: Condition) -> bool:
    """Return whether the module finds the right records where it skips in this condition: no Or has a negation."""
    match condition:
        case AllOf(parts):
            return all(may_skip(part) for part in parts)
        case AnyOf(parts):
            return not any(_negates(part) for part in parts)
    return True


def _negates(condition: Condition) -> bool:
    if isinstance(condition, AllOf | AnyOf):
        return any(_negates(part) for part in condition.parts)
    return isinstance(condition, Lacks)


def write_query(condition: Condition, slots: Mapping[str, str]) -> str:
    """Return a condition as a query that a search by vector answers too.

    Args:
        condition: over tags and numbers, `readable`.
        slots: the fields of the index by number.
    """
    text = _write_condition(condition, slots)
    if isinstance(condition, AllOf) and condition.parts and not _has_estimate(condition):
        return f"{text} @t:{{{ON_EVERY_RECORD}}}"
    return text


def _has_estimate(condition: Condition) -> bool:
    """Return whether the module's estimate is right, or the condition is never met."""
    match condition:
        case AllOf(parts):
            return any(_has_estimate(part) for part in parts)
        case AnyOf(parts):
            return not any(isinstance(part, AllOf) for part in parts)
    return True


def write_window(condition: Condition, slots: Mapping[str, str], field: str, low: int, high: int) -> str:
    """Return a condition on the records whose `field` is in [low, high) as a query."""
    window = f"@{field}:[{low} ({high}]"
    alternatives = condition.parts if isinstance(condition, AnyOf) else (condition,)
    parts = []
    for part in alternatives:
        text = _write_condition(part, slots)
        # An And takes the window among its sides; a single side would else be an And around the window's.
        parts.append(window if text == "*" else f"{window} {text if isinstance(part, AllOf) else f'({text})'}")
    return _write_or([f"({part})" for part in parts])


def _write_or(sides: list[str]) -> str:
    while len(sides) > WIDE:
        sides = [f"({' | '.join(sides[start : start + WIDE])})" for start in range(0, len(sides), WIDE)]
    return " | ".join(sides) or NEVER


def _write_condition(condition: Condition, slots: Mapping[str, str]) -> str:
    match condition:
        case Has(tag):
            return f"@t:{{{tag}}}"
        case Lacks(tag):
            return f"-@t:{{{tag}}}"
        case Number(column, order, value):
            bounds = {
                "<": f"-inf ({value!r}", "<=": f"-inf {value!r}", ">": f"({value!r} +inf", ">=": f"{value!r} +inf",
                "==": f"{value!r} {value!r}",
            }  # fmt: skip
            return f"@{slots[column]}:[{bounds[order]}]"
        case AllOf(parts):
            lacking, others = split_tags(parts, Lacks)
            inner = [f"-@t:{{{'|'.join(lacking)}}}"] if lacking else []
            return " ".join([*(f"({_write_condition(part, slots)})" for part in others), *inner]) or "*"
        case AnyOf(parts):
            having, others = split_tags(parts, Has)
            inner = [f"@t:{{{'|'.join(having)}}}"] if having else []
            return _write_or([*inner, *(f"({_write_condition(part, slots)})" for part in others)])
    raise AssertionError(condition)
