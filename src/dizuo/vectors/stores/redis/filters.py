"""Conditions over tags and numbers in the language of Redis' search module."""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.vectors.exact.tags_and_numbers import AllOf, AnyOf, Condition, Has, Lacks, Number

__all__ = ["number_columns", "write_condition"]

NEVER = "@t:{none}"


def number_columns(condition: Condition) -> set[str]:
    """Return the numbers that a condition reads."""
    match condition:
        case Number(column, _, _):
            return {column}
        case AllOf(parts) | AnyOf(parts):
            return {name for part in parts for name in number_columns(part)}
    return set()


def write_condition(condition: Condition, slots: Mapping[str, str]) -> str:
    """Return a condition as a query of the search module; `slots` are the fields of the index by number."""
    match condition:
        case Has(tag):
            return f"@t:{{{tag}}}"
        case Lacks(tag):
            return f"-@t:{{{tag}}}"
        case Number(column, order, value):
            if column not in slots:  # no record has this number
                return NEVER
            bounds = {
                "<": f"-inf ({value!r}", "<=": f"-inf {value!r}", ">": f"({value!r} +inf", ">=": f"{value!r} +inf",
                "==": f"{value!r} {value!r}",
            }  # fmt: skip
            return f"@{slots[column]}:[{bounds[order]}]"
        case AllOf(parts):
            return " ".join(f"({write_condition(part, slots)})" for part in parts) or "*"
        case AnyOf(parts):
            return " | ".join(f"({write_condition(part, slots)})" for part in parts) or NEVER
    raise AssertionError(condition)
