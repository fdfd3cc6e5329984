"""The conditions of a filter on metadata, as a tree, with two-valued logic that is the same on every database.

    where = (field("lang") == "zh") & (field("year") >= 2020) & ~field("tags").contains("draft")

What they mean for a record (`matching.matches` is the definition, and every database is tested against it):

- `==` is true where the key is there with an equal value. A bool equals only a bool; int and float compare as
  numbers; `== None` is true where the key is there and holds null.
- `!=` is the negation of `==`, so it is true where the key is missing. `not_in` likewise.
- `< <= > >=` are true where both sides are numbers, or both are text (by code point); otherwise false.
- `in_` is true where some listed value is equal; an empty list is false.
- `exists()` is true where the key is there, whatever it holds, null too.
- `contains(x)` is true where the key holds a list with an element equal to x.
- `startswith(p)` is true where the key holds text that begins with p (case counts).
- `&`, `|`, `~` are the classical ones. Nothing is ever unknown.

A key is a top-level key of the metadata, taken literally: `field("a.b")` is the key "a.b".
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from dizuo.errors import VectorError

__all__ = [
    "RESERVED",
    "And",
    "Compare",
    "Contains",
    "Exists",
    "Field",
    "Filter",
    "In",
    "Not",
    "Operator",
    "Or",
    "Scalar",
    "StartsWith",
    "field",
    "keys",
    "negations_inside",
    "operators",
]

Scalar: TypeAlias = str | int | float | bool | None
Operator: TypeAlias = Literal["==", "!=", "<", "<=", ">", ">="]
INT64 = 2**63
_PLAIN = re.compile(r"[^\W\d][\w.\-]*")
RESERVED = {"and", "or", "not", "in", "contains", "startswith", "exists", "true", "false", "null"}
"""Words of the text form, which a key may only be in backquotes."""


class Filter:
    """A condition on a record's metadata; combine with `&`, `|` and `~`."""

    __slots__ = ()

    def __and__(self, other: Filter) -> Filter:
        return And(_join(And, self, other))

    def __or__(self, other: Filter) -> Filter:
        return Or(_join(Or, self, other))

    def __invert__(self) -> Filter:
        return Not(self)

    def __bool__(self) -> NoReturn:
        raise VectorError("a filter has no truth value of its own", hint="combine filters with &, | and ~")

    def __str__(self) -> str:
        return _write(self, 0)


@dataclass(frozen=True, slots=True)
class Compare(Filter):
    """`key operator value`."""

    key: str
    operator: Operator
    value: Scalar


@dataclass(frozen=True, slots=True)
class In(Filter):
    """The key holds one of these values; `not_in` is `Not(In(…))`."""

    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Exists(Filter):
    """The key is there, whatever it holds."""

    key: str


@dataclass(frozen=True, slots=True)
class Contains(Filter):
    """The key holds a list with this element."""

    key: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class StartsWith(Filter):
    """The key holds text that begins with this."""

    key: str
    prefix: str


@dataclass(frozen=True, slots=True)
class And(Filter):
    """All of these; an empty one is true."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or(Filter):
    """Any of these; an empty one is false."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not(Filter):
    """True where the inner filter is false, which it is where the key is missing."""

    filter: Filter


class Field:
    """A metadata key, to be compared: `field("year") >= 2020`."""

    __slots__ = ("key",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, key: str) -> None:
        if not isinstance(key, str) or not key:
            raise VectorError(f"a field is named by non-empty text, not {key!r}")
        self.key = key

    def __eq__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return Compare(self.key, "==", _check_scalar(self.key, value))

    def __ne__(self, value: Scalar) -> Filter:  # type: ignore[override]
        return Compare(self.key, "!=", _check_scalar(self.key, value))

    def __lt__(self, value: str | float) -> Filter:
        return Compare(self.key, "<", _check_ordered(self.key, value))

    def __le__(self, value: str | float) -> Filter:
        return Compare(self.key, "<=", _check_ordered(self.key, value))

    def __gt__(self, value: str | float) -> Filter:
        return Compare(self.key, ">", _check_ordered(self.key, value))

    def __ge__(self, value: str | float) -> Filter:
        return Compare(self.key, ">=", _check_ordered(self.key, value))

    def in_(self, values: Iterable[Scalar]) -> Filter:
        """Return the filter that the key holds one of these values; an empty list matches nothing."""
        return In(self.key, _check_scalars(self.key, values))

    def not_in(self, values: Iterable[Scalar]) -> Filter:
        """Return the filter that the key holds none of these values; it is true where the key is missing."""
        return Not(In(self.key, _check_scalars(self.key, values)))

    def exists(self) -> Filter:
        """Return the filter that the key is there, whatever it holds."""
        return Exists(self.key)

    def contains(self, value: Scalar) -> Filter:
        """Return the filter that the key holds a list with this element."""
        return Contains(self.key, _check_scalar(self.key, value))

    def startswith(self, prefix: str) -> Filter:
        """Return the filter that the key holds text that begins with this."""
        if not isinstance(prefix, str):
            raise VectorError(f"startswith on {self.key!r} takes text, not {prefix!r}")
        return StartsWith(self.key, str(_check_scalar(self.key, prefix)))


def field(key: str) -> Field:
    """Return a metadata key to build filters from, as in `field("lang") == "zh"`."""
    return Field(key)


def _check_scalar(key: str, value: Any) -> Scalar:
    if value is None or type(value) is bool:
        return value
    if type(value) is int:
        if not -INT64 <= value < INT64:
            raise VectorError(f"{key!r} is compared with {value}, which does not fit in 64 bits")
        return value
    if type(value) is float:
        if not math.isfinite(value):
            raise VectorError(f"{key!r} is compared with {value}, which no record can hold")
        return value
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise VectorError(f"{key!r} is compared with {value!r}, which has half a surrogate pair") from None
        return value
    raise VectorError(
        f"{key!r} is compared with a {type(value).__name__}", hint="compare with text, a number, True, False or None"
    )


def _check_ordered(key: str, value: Any) -> Scalar:
    checked = _check_scalar(key, value)
    if checked is None or isinstance(checked, bool):
        raise VectorError(f"{key!r} is ordered against {value!r}", hint="only numbers and text have an order")
    return checked


def _check_scalars(key: str, values: Iterable[Any]) -> tuple[Scalar, ...]:
    if isinstance(values, str | bytes):
        raise VectorError(f"in_ on {key!r} takes a list of values, not {values!r}", hint="put it in a list")
    return tuple(_check_scalar(key, value) for value in values)


def _join(kind: type[And] | type[Or], *parts: Filter) -> tuple[Filter, ...]:
    joined: list[Filter] = []
    for part in parts:
        if not isinstance(part, Filter):
            raise VectorError(f"a filter is combined with {part!r}", hint='compare a field: field("lang") == "zh"')
        joined.extend(part.filters if isinstance(part, kind) else (part,))
    return tuple(joined)


def negations_inside(filter: Filter, *, negated: bool = False) -> Filter:
    """Return the same filter with `Not` around single conditions only, for databases without a general NOT.

    `!=` becomes `Not(Compare("=="))`. A `Not` around `<` stays: it is not `>=`, since both are false on a missing key.
    """
    match filter:
        case And(filters):
            parts = tuple(negations_inside(operand, negated=negated) for operand in filters)
            return Or(parts) if negated else And(parts)
        case Or(filters):
            parts = tuple(negations_inside(operand, negated=negated) for operand in filters)
            return And(parts) if negated else Or(parts)
        case Not(inner):
            return negations_inside(inner, negated=not negated)
        case Compare(key, "!=", value):
            same = Compare(key, "==", value)
            return same if negated else Not(same)
    return Not(filter) if negated else filter


def keys(filter: Filter | None) -> frozenset[str]:
    """Return the metadata keys that a filter reads."""
    return frozenset(leaf.key for leaf in _leaves(filter))


def operators(filter: Filter | None) -> frozenset[str]:
    """Return the operators that a filter uses: `==`, `<`, …, `in`, `exists`, `contains`, `startswith`."""
    names = {In: "in", Exists: "exists", Contains: "contains", StartsWith: "startswith"}
    return frozenset(leaf.operator if isinstance(leaf, Compare) else names[type(leaf)] for leaf in _leaves(filter))


_Leaf: TypeAlias = Compare | In | Exists | Contains | StartsWith


def _leaves(filter: Filter | None) -> list[_Leaf]:
    match filter:
        case None:
            return []
        case And(filters) | Or(filters):
            return [leaf for operand in filters for leaf in _leaves(operand)]
        case Not(inner):
            return _leaves(inner)
        case Compare() | In() | Exists() | Contains() | StartsWith():
            return [filter]
    raise AssertionError(filter)


def _write(filter: Filter, level: int) -> str:
    match filter:
        case Compare(key, operator, value):
            return f"{_write_key(key)} {operator} {_write_value(value)}"
        case In(key, values):
            return f"{_write_key(key)} in [{', '.join(_write_value(value) for value in values)}]"
        case Not(In(key, values)):
            return f"{_write_key(key)} not in [{', '.join(_write_value(value) for value in values)}]"
        case Exists(key):
            return f"exists {_write_key(key)}"
        case Contains(key, value):
            return f"{_write_key(key)} contains {_write_value(value)}"
        case StartsWith(key, prefix):
            return f"{_write_key(key)} startswith {_write_value(prefix)}"
        case And(filters):
            whole = " and ".join(_write(operand, 2) for operand in filters) or "true"
            return f"({whole})" if level >= 2 and len(filters) > 1 else whole
        case Or(filters):
            whole = " or ".join(_write(operand, 1) for operand in filters) or "false"
            return f"({whole})" if level >= 1 and len(filters) > 1 else whole
        case Not(inner):
            return f"not {_write(inner, 2)}"
    raise AssertionError(filter)


def _write_key(key: str) -> str:
    if _PLAIN.fullmatch(key) and key.lower() not in RESERVED:
        return key
    return "`" + json.dumps(key, ensure_ascii=False)[1:-1].replace("`", "\\u0060") + "`"


def _write_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
