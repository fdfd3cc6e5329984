"""Conditions over tags and numbers in Chroma's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dizuo.vectors.exact.sort_keys import order_bits
from dizuo.vectors.exact.tags_and_numbers import AllOf, AnyOf, Condition, Has, Lacks, Number

__all__ = ["as_integers", "order_number", "write_condition"]

NEVER: dict[str, Any] = {"m": {"$eq": ""}}
"""A condition that no record meets: metadata is never the empty text."""
_ORDERS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "==": "$eq"}


def write_condition(condition: Condition) -> dict[str, Any] | None:
    """Return a condition in Chroma's language; None is true for all records."""
    match condition:
        case Has(tag):
            return {"t": {"$contains": tag}}
        case Lacks(tag):
            return {"t": {"$not_contains": tag}}
        case Number(column, order, value):
            return {column: {_ORDERS[order]: order_number(value)}}
        case AllOf(parts):
            inner = [write_condition(part) for part in parts]
            return None if not inner else {"$and": inner}
        case AnyOf(parts):
            return NEVER if not parts else {"$or": [write_condition(part) for part in parts]}
    raise AssertionError(condition)


def order_number(value: float) -> int:
    """Return a float64 as a signed integer of 64 bits; these are in the order of the numbers."""
    return order_bits(value) - 2**63


def as_integers(numbers: Mapping[str, float]) -> dict[str, Any]:
    """Return numbers as the integers that conditions compare."""
    return {name: order_number(value) for name, value in numbers.items()}
