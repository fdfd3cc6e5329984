"""Pinecone's filters, for its emulator: after the vendor's page "Understanding metadata".

`$eq $ne $in $nin` compare text, numbers and booleans, and look into lists of texts as MongoDB does, whose operators
Pinecone says they are modelled on: `$eq` and `$in` are true where an element is equal, `$ne` and `$nin` where none is.
`$gt $gte $lt $lte` take numbers only. What the page does not say of a missing key, nobody should rely on: false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

True_ = Callable[[Mapping[str, Any]], bool]
ORDERS: dict[str, Callable[[float, float], bool]] = {
    "$gt": lambda left, right: left > right,
    "$gte": lambda left, right: left >= right,
    "$lt": lambda left, right: left < right,
    "$lte": lambda left, right: left <= right,
}


class Bad(Exception):
    """The filter is none."""


def compiled(filter: Any) -> True_:
    """Return a function that tells whether metadata match."""
    if not isinstance(filter, dict) or not filter:
        raise Bad(f"a filter is a mapping that is not empty, not {filter!r}")
    parts = [_part(key, value) for key, value in filter.items()]
    return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)


def _part(key: str, value: Any) -> True_:
    if key in ("$and", "$or"):
        if not isinstance(value, list) or not value:
            raise Bad(f"{key} takes a list that is not empty")
        inner = [compiled(one) for one in value]
        if key == "$and":
            return lambda row: all(one(row) for one in inner)
        return lambda row: any(one(row) for one in inner)
    if key.startswith("$"):
        raise Bad(f"no operator {key}")
    if not isinstance(value, dict):
        return _leaf(key, "$eq", value)
    leaves = [_leaf(key, operator, operand) for operator, operand in value.items()]
    if not leaves:
        raise Bad(f"no operator for {key}")
    return leaves[0] if len(leaves) == 1 else lambda row: all(leaf(row) for leaf in leaves)


def _leaf(key: str, operator: str, operand: Any) -> True_:
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise Bad("$exists takes a boolean")
        return lambda row: (key in row) == operand
    if operator in ORDERS:
        if isinstance(operand, bool) or not isinstance(operand, int | float):
            raise Bad(f"{operator} takes a number, not {operand!r}")
        order, bound = ORDERS[operator], float(operand)
        return lambda row: isinstance(row.get(key), float) and order(row[key], bound)
    if operator in ("$in", "$nin"):
        if not isinstance(operand, list) or not 1 <= len(operand) <= 10_000:
            raise Bad(f"{operator} takes a list of 1 to 10,000 values")
        allowed = {_scalar(one) for one in operand}
    elif operator in ("$eq", "$ne"):
        allowed = {_scalar(operand)}
    else:
        raise Bad(f"no operator {operator}")
    wanted = operator in ("$eq", "$in")

    def true(row: Mapping[str, Any]) -> bool:
        held = row.get(key)
        if held is None:
            return False
        found = any(("s", one) in allowed for one in held) if isinstance(held, list) else _scalar(held) in allowed
        return found == wanted

    return true


def _scalar(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return ("b", value)
    if isinstance(value, str):
        return ("s", value)
    if isinstance(value, int | float):
        return ("n", float(value))
    raise Bad(f"a filter compares with text, numbers and booleans, not {value!r}")
