"""Metadata and filters as tags and numbers, for databases that filter by little more than these.

Many databases hold a set of short texts per record and some numbers, and know AND, OR and "has not". `flatten` turns
any JSON metadata into these, and `flatten_filter` turns any filter into a condition over them that means the same:

- A *tag* says one thing about one key: of which kind its value is, what it equals, or what its list contains. Tags are
  hashes of 100 bits in letters and digits, so they need no escaping, and no value is too long to be compared.
- A *number* `n…` is the float64 nearest to a number. `r…` is what an integer beyond 2^53 has more than that float64, so
  that integers compare exactly. `s…0`, `s…1`, … are the first 24 bytes of a text in UTF-8, six at a time, which are in
  the order of code points.

A condition on numbers is always joined with one on a tag for the kind, so numbers that a database keeps from a record's
earlier metadata do no harm. Only an order against a text of 24 bytes or more cannot be told from all this. Then
`flatten_filter` says that its condition holds for more records than the filter, and the store looks at their metadata.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from dizuo.vectors.filters.tree import And, Compare, Contains, Exists, Filter, In, Not, Or, Scalar, StartsWith
from dizuo.vectors.points import Metadata

__all__ = [
    "FALSE",
    "ON_EVERY_RECORD",
    "TRUE",
    "AllOf",
    "AnyOf",
    "Condition",
    "FlatMetadata",
    "Has",
    "Lacks",
    "Number",
    "all_of",
    "any_of",
    "flatten",
    "flatten_filter",
    "split_tags",
]

Order: TypeAlias = Literal["<", "<=", ">", ">=", "=="]
EXACT = 2**53
CHUNK = 6
"""Bytes of a text in one number: 48 bits and three for how many bytes there are, exact in a float64."""
CHUNKS = 4


@dataclass(frozen=True, slots=True)
class Has:
    """The record has this tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Lacks:
    """The record does not have this tag."""

    tag: str


@dataclass(frozen=True, slots=True)
class Number:
    """The record has `number order value`; false where it has no such number."""

    column: str
    order: Order
    value: float


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of these; an empty one is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Any of these; an empty one is false."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Has | Lacks | Number | AllOf | AnyOf
TRUE, FALSE = AllOf(()), AnyOf(())


@dataclass(frozen=True, slots=True)
class FlatMetadata:
    """What the filters of a database can see of one record."""

    tags: list[str]
    """Distinct and never empty: `ON_EVERY_RECORD` is one of them, since some databases hold no empty list."""
    numbers: dict[str, float]


@lru_cache(maxsize=100_000)
def _tag(kind: str, key: str, value: str = "") -> str:
    # The length keeps the keys and values ("ab", "c") and ("a", "bc") apart.
    text = f"{kind}{len(key)}:{key}{value}".encode()
    return base64.b32encode(hashlib.blake2b(text, digest_size=15).digest())[:20].decode().lower()


@lru_cache(maxsize=10_000)
def _column(key: str) -> str:
    return base64.b32encode(hashlib.blake2b(key.encode(), digest_size=10).digest()).decode().lower()


ON_EVERY_RECORD = _tag("every", "")
_KINDS = ("text", "number", "true", "false", "null", "list", "object")


def flatten(metadata: Metadata) -> FlatMetadata:
    """Return the tags and numbers of a record's metadata."""
    tags = {ON_EVERY_RECORD: None}
    numbers: dict[str, float] = {}
    items: Iterable[tuple[str, Any]] = (
        metadata.items()
    )  # the kind says what a value is, and type checkers cannot see it
    for key, value in items:
        kind = _kind(value)
        tags[_tag(kind, key)] = None
        if kind == "text":
            tags[_tag("=", key, _write_scalar(value))] = None
            column = _column(key)
            for index, chunk in enumerate(_chunks(value.encode())[:CHUNKS]):
                numbers[f"s{column}{index}"] = float(chunk)
        elif kind == "number":
            tags[_tag("=", key, _write_scalar(value))] = None
            column = _column(key)
            near, rest = _split(value)
            numbers[f"n{column}"] = near
            if rest:
                numbers[f"r{column}"] = rest
                tags[_tag("rest", key)] = None
        elif kind == "list":
            for element in value:
                if element is None or isinstance(element, str | bool | int | float):
                    tags[_tag("in", key, _write_scalar(element))] = None
    return FlatMetadata(list(tags), numbers)


def flatten_filter(filter: Filter | None) -> tuple[Condition, bool]:
    """Return the condition over tags and numbers, and whether it means the same as the filter.

    If it does not, it is true for every record that the filter matches, and for some others.
    """
    if filter is None:
        return TRUE, True
    compiler = _Compiler()
    return compiler.compile(filter, negated=False), compiler.exact


def split_tags(parts: Sequence[Condition], kind: type[Has] | type[Lacks]) -> tuple[list[str], list[Condition]]:
    """Return the tags of the parts of this kind, and the other parts: most databases take a list of tags as one."""
    tags = [part.tag for part in parts if isinstance(part, kind)]
    return tags, [part for part in parts if not isinstance(part, kind)]


class _Compiler:
    def __init__(self) -> None:
        self.exact = True

    def compile(self, filter: Filter, *, negated: bool) -> Condition:
        match filter:
            case And(filters) | Or(filters):
                parts = [self.compile(operand, negated=negated) for operand in filters]
                return all_of(parts) if isinstance(filter, And) != negated else any_of(parts)
            case Not(inner):
                return self.compile(inner, negated=not negated)
            case Compare(key, "!=", value):
                return _compile_equal(key, value, negated=not negated)
            case Compare(key, "==", value):
                return _compile_equal(key, value, negated=negated)
            case In(key, values):
                parts = [_compile_equal(key, value, negated=negated) for value in values]
                return all_of(parts) if negated else any_of(parts)
            case Contains(key, value):
                tag = _tag("in", key, _write_scalar(value))
                return Lacks(tag) if negated else Has(tag)
            case Exists(key):
                kinds = [_tag(kind, key) for kind in _KINDS]
                return all_of([Lacks(tag) for tag in kinds]) if negated else any_of([Has(tag) for tag in kinds])
            case Compare(key, operator, value):
                if isinstance(value, str):
                    return self._with_kind(
                        "text", key, self._compile_text(key, operator, value.encode(), negated), negated
                    )
                assert isinstance(value, int | float)
                return self._with_kind(
                    "number", key, _compile_number(key, _negate_order(operator, negated), value), negated
                )
            case StartsWith(key, prefix):
                # No byte of UTF-8 is 0xff, so the texts that begin with p are those between p and p + 0xff.
                low = self._compile_text(key, ">=", prefix.encode(), negated)
                high = self._compile_text(key, "<", prefix.encode() + b"\xff", negated)
                both = any_of([low, high]) if negated else all_of([low, high])
                return self._with_kind("text", key, both, negated)
        raise AssertionError(filter)

    def _with_kind(self, kind: str, key: str, condition: Condition, negated: bool) -> Condition:
        tag = _tag(kind, key)
        return any_of([Lacks(tag), condition]) if negated else all_of([Has(tag), condition])

    def _compile_text(self, key: str, operator: str, bound: bytes, negated: bool) -> Condition:
        order = _negate_order(operator, negated)
        chunks = _chunks(bound)
        if len(chunks) > CHUNKS:
            self.exact = False
        column = _column(key)
        less = order in ("<", "<=")
        # Built from the last chunk to the first: strictly on one side here, or equal here and what follows decides.
        if len(chunks) > CHUNKS:
            condition: Condition = TRUE  # equal in all that is stored: the store looks at the metadata
        else:
            condition = TRUE if order in ("<=", ">=") else FALSE
        for index in range(min(len(chunks), CHUNKS) - 1, -1, -1):
            name, value = f"s{column}{index}", float(chunks[index])
            beyond = Number(name, "<" if less else ">", value)
            condition = any_of([beyond, all_of([Number(name, "==", value), condition])])
        return condition


def _negate_order(operator: str, negated: bool) -> Order:
    opposite: dict[str, Order] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
    if negated:
        return opposite[operator]
    assert operator in opposite
    return operator  # type: ignore[return-value]


def _compile_equal(key: str, value: Scalar, *, negated: bool) -> Condition:
    if value is None or isinstance(value, bool):
        tag = _tag(_kind(value), key)
    else:
        tag = _tag("=", key, _write_scalar(value))
    return Lacks(tag) if negated else Has(tag)


def _compile_number(key: str, order: Order, value: float) -> Condition:
    column = _column(key)
    near, rest = _split(value)
    if abs(near) < EXACT:  # every such integer is a float64
        return Number(f"n{column}", order, near)
    strict: Order = "<" if order in ("<", "<=") else ">"
    rests: Condition = all_of([Has(_tag("rest", key)), Number(f"r{column}", order, rest)])
    if {"<": rest > 0, "<=": rest >= 0, ">": rest < 0, ">=": rest <= 0}[order]:
        rests = any_of([rests, Lacks(_tag("rest", key))])
    return any_of([Number(f"n{column}", strict, near), all_of([Number(f"n{column}", "==", near), rests])])


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int | float):
        return "number"
    return "object" if isinstance(value, Mapping) else "list"


def _write_scalar(value: Any) -> str:
    """Return a text that is the same for equal scalars only: for 1 and 1.0, but not for 1 and True and "1"."""
    if isinstance(value, str):
        return f"t{value}"
    if value is None or isinstance(value, bool):
        return f"k{value}"
    if isinstance(value, float) and not value.is_integer():
        return f"f{value!r}"
    return f"i{int(value)}"


def _split(value: float) -> tuple[float, float]:
    """Return the nearest float64 and the exact rest, for integers of 64 bits and any float."""
    near = float(value)
    return (near + 0.0, 0.0) if isinstance(value, float) else (near, float(value - int(near)))


def _chunks(text: bytes) -> list[int]:
    """Return the bytes of a text as numbers whose order is that of the texts; the last one is not full."""
    numbers = []
    for start in range(0, CHUNK * CHUNKS + 1, CHUNK):
        part = text[start : start + CHUNK]
        numbers.append(int.from_bytes(part.ljust(CHUNK, b"\0"), "big") << 3 | len(part))
        if len(part) < CHUNK:
            break
    return numbers


def all_of(parts: Sequence[Condition]) -> Condition:
    """Return the simplest condition that holds where all of these do."""
    if FALSE in parts:
        return FALSE
    kept = tuple(
        dict.fromkeys(inner for part in parts for inner in (part.parts if isinstance(part, AllOf) else (part,)))
    )
    return kept[0] if len(kept) == 1 else AllOf(kept)


def any_of(parts: Sequence[Condition]) -> Condition:
    """Return the simplest condition that holds where any of these does."""
    if TRUE in parts:
        return TRUE
    kept = tuple(
        dict.fromkeys(inner for part in parts for inner in (part.parts if isinstance(part, AnyOf) else (part,)))
    )
    return kept[0] if len(kept) == 1 else AnyOf(kept)
