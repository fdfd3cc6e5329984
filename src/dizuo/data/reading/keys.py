"""Records which keys of a row its format reads, and counts those that hold something and are read by nobody.

A format is shown a `View` of the row: a dictionary that remembers what is asked of it, down to the turns of a
conversation and their tool calls. What is left over is counted by its path, such as `messages[assistant].rating`. No
format has to do anything for it, and neither has one of a third party.

Keys that hold nothing (null, an empty string, list or object) are not counted: tables have them in every row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dizuo.data.reading.files import Cells
from dizuo.errors import DataError, did_you_mean
from dizuo.records import Json

__all__ = ["Ignored", "KeyCounts", "View", "first_repeated", "last_key", "mark_read", "peek", "unread"]

KEPT = 200
"""Different paths that are counted apart; rows whose keys are data (an id, a date) would have millions."""
_LONGEST = 60
"""Characters of a key that are shown."""
_DEFINITIONS = {"tools", "functions", "tool_calls", "function_call", "input_schema", "parameters"}
"""Below these keys stand names of a user's own functions: `ignore: [weight]` does not mean a parameter `weight`."""
_EMPTY: tuple[Json, ...] = (None, "", [], {})


class View(dict[str, Any]):
    """A row, or an object inside one, that remembers which of its keys were read. It is a copy: writing is harmless."""

    __slots__ = ("seen",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = dict.__getitem__(self, key)
        if key not in self.seen:
            self.seen.add(key)
            shown = _show(value)
            if shown is not value:
                dict.__setitem__(self, key, shown)
            return shown
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, which counts as read."""
        if key not in self:
            return default
        return self[key]

    def __iter__(self) -> Iterator[str]:  # without it, `dict(view)` and `{**view}` would copy behind our back
        return dict.__iter__(self)

    def items(self) -> Any:
        """Return all keys with their values; all count as read."""
        return [(key, self[key]) for key in self]

    def values(self) -> Any:
        """Return all values; all keys count as read."""
        return [self[key] for key in self]

    def copy(self) -> dict[str, Any]:
        """Return a plain dictionary; all keys count as read."""
        return dict(self.items())

    def pop(self, key: str, *default: Any) -> Any:
        """Take a key out and return its value."""
        if key not in self:
            return dict.pop(self, key, *default)
        value = self[key]
        dict.pop(self, key)
        return value

    def __or__(self, other: Any) -> Any:
        return self.copy() | dict(other)

    def __ror__(self, other: Any) -> Any:
        return dict(other) | self.copy()


def _show(value: Any) -> Any:
    if isinstance(value, dict):
        return View(value)
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return [_show(item) for item in value]
    return value


def peek(row: Cells, key: str) -> Json:
    """Return a value of a row without reading it, to decide whether to."""
    value: Json = dict.get(row, key) if isinstance(row, dict) else row.get(key)
    return value


def mark_read(row: Cells, key: str) -> None:
    """Count a key with all that stands below it as read: what it says is known from elsewhere."""
    json.dumps(row[key], default=str)


def unread(view: View) -> list[str]:
    """Return the paths of the keys that hold something and were not read; below an unread key nothing is listed."""
    return list(_unread(view, ""))


def _unread(view: View, path: str) -> Iterator[str]:
    for key in view:
        value = dict.__getitem__(view, key)
        if value is None or value in _EMPTY:
            continue
        name = _join(path, key)
        if key not in view.seen:
            yield name
        elif isinstance(value, View):
            yield from _unread(value, name)
        elif isinstance(value, list):
            yield from _unread_items(value, name)


def _unread_items(items: list[Any], path: str) -> Iterator[str]:
    for item in items:
        if isinstance(item, View):
            yield from _unread(item, f"{path}[{_speaker(item)}]")
        elif isinstance(item, list):
            yield from _unread_items(item, f"{path}[]")


def _speaker(item: Mapping[str, Any]) -> str:
    """Return whose turn an object is, so that a weight on a user's turn and one on an answer are two paths."""
    for key in ("role", "from"):
        value = peek(item, key)
        if isinstance(value, str) and value.isidentifier() and len(value) <= 20:
            return value
    return ""


def _join(path: str, key: object) -> str:
    name = str(key)
    name = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    return f"{path}.{name}" if path else name


def first_repeated(pairs: Sequence[tuple[str, Any]]) -> str:
    """Return the first key that stands twice among the pairs of an object.

    >>> first_repeated([("text", 1), ("label", 2), ("text", 3)])
    'text'
    """
    met: set[str] = set()
    return next(key for key, _ in pairs if key in met or met.add(key))  # type: ignore[func-returns-value]


def last_key(path: str) -> str:
    """Return the key in which a path ends: `weight` of `messages[assistant].weight`."""
    return path.rsplit(".", 1)[-1].split("[", 1)[0]


@dataclass(slots=True)
class KeyCounts:
    """How often each path stands in the rows, in bounded memory."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    """By path, where it stands first."""
    others: int = 0
    """Further ones, beyond the paths that are counted apart."""

    def add(self, paths: Iterable[str], place: str) -> None:
        """Count the paths of one row."""
        for path in paths:
            if path in self.counts or len(self.counts) < KEPT:
                self.counts[path] += 1
                self.places.setdefault(path, place)
            else:
                self.others += 1

    def __str__(self) -> str:
        return ", ".join(f"{path} ({count:,})" for path, count in self.by_count().items())

    def by_count(self) -> dict[str, int]:
        """Return the counts, the most frequent path first; what was not counted apart stands under `other keys`."""
        ordered = dict(sorted(self.counts.items(), key=lambda item: (-item[1], item[0])))
        return {**ordered, **({"other keys": self.others} if self.others else {})}


class Ignored:
    """The keys that a user wants ignored, taken out of every row and counted.

    Args:
        names: keys of rows, or where a row has no such key, of its turns; or paths such as `messages[user].weight`.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)
        self.counts = KeyCounts()
        self._met: set[str] = set()

    def take_out(self, row: Cells, place: str) -> Cells:
        """Return a row without the ignored keys; the row itself is not changed."""
        if not self.names:
            return row
        dropped: list[str] = []
        own = self.names & row.keys()
        self._met |= own
        for key in own:
            if row[key] is not None and row[key] not in _EMPTY:
                dropped.append(key)
        rest = {key: value for key, value in row.items() if key not in own}
        kept: Cells = self._without(rest, "", dropped, self.names - own)
        self.counts.add(dropped, place)
        return kept

    def check(self, known: Iterable[str]) -> None:
        """Refuse a name that no row has: it is misspelt, and what it should have named was read.

        Args:
            known: the keys that rows have, for suggestions.

        Raises:
            DataError: naming all of them.
        """
        lost = sorted(self.names - self._met)
        if lost:
            near = [f"{name!r}{did_you_mean(name, known)}" for name in lost]
            raise DataError(
                f"ignore names keys that no row has: {', '.join(near)}", hint="take them out, or correct their spelling"
            )

    def _without(self, value: Any, path: str, dropped: list[str], by_name: frozenset[str]) -> Any:
        """Return a value without what is ignored: paths anywhere, and keys that are wanted `by_name`."""
        if isinstance(value, Mapping):
            kept = {}
            for key, inner in value.items():
                name = _join(path, key)
                if name in self.names or key in by_name:
                    self._met.add(name if name in self.names else key)
                    if inner is not None and inner not in _EMPTY:
                        dropped.append(name)
                    continue
                kept[key] = self._without(inner, name, dropped, frozenset() if key in _DEFINITIONS else by_name)
            return kept
        if isinstance(value, list):
            inside = (f"{path}[{_speaker(item) if isinstance(item, dict) else ''}]" for item in value)
            return [self._without(item, name, dropped, by_name) for item, name in zip(value, inside)]
        return value
