"""Conditions over tags and numbers in the language of Redis' search module."""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.vectors.exact.flat_columns import All, Any_, Condition, Has, Lacks, Number

__all__ = ["columns_of", "written"]

NEVER = "@t:{none}"


def columns_of(condition: Condition) -> set[str]:
    match condition:
        case Number(column, _, _):
            return {column}
        case All(parts) | Any_(parts):
            return {name for part in parts for name in columns_of(part)}
    return set()


def written(condition: Condition, slots: Mapping[str, str]) -> str:
    match condition:
        case Has(tag):
            return f"@t:{{{tag}}}"
        case Lacks(tag):
            return f"-@t:{{{tag}}}"
        case Number(column, order, value):
            if column not in slots:  # no record has it
                return NEVER
            bounds = {
                "<": f"-inf ({value!r}", "<=": f"-inf {value!r}", ">": f"({value!r} +inf", ">=": f"{value!r} +inf",
                "==": f"{value!r} {value!r}",
            }  # fmt: skip
            return f"@{slots[column]}:[{bounds[order]}]"
        case All(parts):
            return " ".join(f"({written(part, slots)})" for part in parts) or "*"
        case Any_(parts):
            return " | ".join(f"({written(part, slots)})" for part in parts) or NEVER
    raise AssertionError(condition)
