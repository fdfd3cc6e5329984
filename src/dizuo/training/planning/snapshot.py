"""Pictures in plain JSON of what a run depends on, and where two of them differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias

from dizuo.records import Json

__all__ = ["JsonObject", "Snapshot"]

JsonObject: TypeAlias = dict[str, Json]
"""A JSON object, as plan.json and the checkpoints hold them."""


class Snapshot:
    """What was asked for, or what a run depends on, as it stood at one moment. Equal ones may take each other's place.

    Args:
        value: anything that JSON can hold; it is copied, so that tuples and lists compare.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._value: JsonObject = json.loads(json.dumps(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and self._value == other._value

    def __hash__(self) -> int:
        return hash(json.dumps(self._value, sort_keys=True))

    def __repr__(self) -> str:
        return f"Snapshot({self._value!r})"

    def to_json(self) -> JsonObject:
        """Return the JSON object, a copy."""
        copied: JsonObject = json.loads(json.dumps(self._value))
        return copied

    def differences(self, now: Snapshot, *, inner: bool = False, place: str = "now") -> list[str]:
        """Return one line for each entry that is another one now, as in `options.rank: 16 there, 8 now`.

        Args:
            now: what is compared with this.
            place: what is said of `now`: `now`, or `here` for a place.
            inner: leave out the names of the outermost entries, in the order of which the lines then come.
        """
        if not inner:
            return _differences(self._value, now._value, prefix="", place=place)
        pairs = ((_object(value), _object(now._value.get(name))) for name, value in self._value.items())
        return [line for there, here in pairs for line in _differences(there, here, prefix="", place=place)]


def _differences(there: JsonObject, now: JsonObject, *, prefix: str, place: str) -> list[str]:
    lines: list[str] = []
    for name in sorted(there.keys() | now.keys()):
        old, new = there.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            lines += _differences(old, new, prefix=f"{prefix}{name}.", place=place)
        elif old != new:
            lines.append(f"{prefix}{name}: {_shown(old)} there, {_shown(new)} {place}")
    return lines


def _object(value: Json) -> JsonObject:
    assert isinstance(value, dict)
    return value


def _shown(value: Json) -> str:
    if value is None:
        return "not set"
    text = str(value)
    return text[:19] if text.startswith("sha256:") else text
