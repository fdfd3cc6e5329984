"""Two records side by side: what is the same, and where exactly it is not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Comparison", "compare", "told"]

SHOWN = 4
"""Differences of one thing that are printed."""
WIDTH = 160
_ABSENT = object()


@dataclass(frozen=True)
class Comparison:
    """One thing, compared."""

    name: str
    state: str
    """`same`, `DIFFERENT` or `allowed`."""
    values: int
    """Single values in it."""
    differences: tuple[str, ...] = ()
    why: str = ""
    """Why a difference is allowed."""


def compare(
    group: str, old: Mapping[str, Any], new: Mapping[str, Any], allowed: Mapping[str, str]
) -> Iterator[Comparison]:
    """Yield the comparison of every thing that either side recorded.

    A key of `allowed` is the name of a thing, or `NAME @ PLACE` for what lies at one place of it and below.
    """
    for key in dict.fromkeys((*old, *new)):
        name = f"{group}: {key}"
        found = list(_differences(old.get(key, _ABSENT), new.get(key, _ABSENT), ""))
        reasons = [_reason(name, place, allowed) for place, _ in found]
        bad = tuple(line for (_, line), reason in zip(found, reasons, strict=True) if reason is None)
        state = "same" if not found else "DIFFERENT" if bad else "allowed"
        lines = bad or tuple(line for _, line in found)
        yield Comparison(name, state, _count(old.get(key)), lines, "; ".join(dict.fromkeys(filter(None, reasons))))


def _reason(name: str, place: str, allowed: Mapping[str, str]) -> str | None:
    """Return why a difference may be, or None."""
    for key, reason in allowed.items():
        thing, _, where = key.partition(" @ ")
        if thing == name and (not where or place == where or place.startswith((f"{where}.", f"{where}["))):
            return reason
    return None


def told(item: Comparison) -> list[str]:
    """Return the lines that tell of one comparison."""
    head = f"{item.state:<9}  {item.name}"
    if item.state == "same":
        return [f"{head} ({item.values:,} values)"]
    if item.state == "allowed":
        return [f"{head}: {len(item.differences):,} differences, {item.why}"]
    more = len(item.differences) - SHOWN
    rest = [f"             … and {more:,} more"] if more > 0 else []
    return [head, *(f"             {line}" for line in item.differences[:SHOWN]), *rest]


def _differences(old: Any, new: Any, place: str) -> Iterator[tuple[str, str]]:
    """Yield place and description of every difference."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _differences(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{place}.{key}" if place else key)
        if list(old) != list(new) and old.keys() == new.keys():
            yield place, f"{place or 'it'}: the order of the keys was {_short(list(old))}, is {_short(list(new))}"
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield place, f"{place or 'it'}: had {len(old):,} items, has {len(new):,}"
        for number, (left, right) in enumerate(zip(old, new, strict=False)):
            yield from _differences(left, right, f"{place}[{number}]")
    elif type(old) is not type(new) or _bits(old) != _bits(new):
        yield place, f"{place or 'it'}: was {_short(old, new)}, is {_short(new, old)}"


def _bits(value: Any) -> str:
    return "" if value is _ABSENT else json.dumps(value)


def _short(value: Any, other: Any = None) -> str:
    """Return a value as text; of long texts what lies around the first character that differs from the other's."""
    if value is _ABSENT:
        return "absent"
    if isinstance(value, str) and isinstance(other, str) and len(value) > WIDTH:
        pairs = enumerate(zip(value, other, strict=False))
        start = max(0, next((n for n, (a, b) in pairs if a != b), min(len(value), len(other))) - WIDTH // 3)
        value = ("…" if start else "") + value[start : start + WIDTH]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDTH + 20 else f"{text[:WIDTH]}…"


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_count(item) for item in value.values())
    return sum(_count(item) for item in value) if isinstance(value, list) else 1
