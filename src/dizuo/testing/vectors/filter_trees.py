"""Generated filters that nest to six levels, and the records that they are asked of; the same for every store.

Nothing here is drawn by chance at the time of the test: tree n of a seed is always the same, so a fault has a number.
Every operator is asked of keys and values that records have and of those that none has, plain and negated, since a
database's optimiser treats a condition that nothing can meet in ways of its own. (RediSearch found nothing at all for
`(a or (absent and b)) and (c or (absent and d))`, where 20 records matched.)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from dizuo.vectors import Filter, Point, field
from dizuo.vectors.filters.tree import And, Field, Not, Or

__all__ = ["ABSENT_KEYS", "ABSENT_VALUES", "DEPTH", "WORD", "filter_trees", "tree_points"]

DEPTH = 6
WORD = "common"
"""A word that three of four records have in their document."""
ABSENT_KEYS = ["nobody", "缺", "lang.x"]
ABSENT_VALUES: list[Any] = ["absent", "zzz🙂", 4711, -0.125, 2**53 + 3, "a text that is longer than four numbers hold"]
_TEXTS = ["en", "fr", "zh", "数据", "é", "it's", "", "a long text of more than twenty-four bytes", "🙂 z"]
_NUMBERS: list[Any] = [0, 1, 2, 3, 2019, 2020, 2021, 2020.5, -1, 1.5, 2**53 + 1, 1e22]
_KEYS = ["lang", "team", "year", "level", "public", "tags", "note", "a key"]


def tree_points(rows: int = 48) -> list[Point]:
    """Return the records: keys that are often missing, and values of other types under the same keys."""
    chance = random.Random(20)
    points = []
    for n in range(rows):
        row: dict[str, Any] = {
            "lang": chance.choice(["en", "en", "fr", "zh", "é", None, 3]),
            "team": chance.choice(["new", "old", "数据", "it's", True]),
            "year": chance.choice([2019, 2020, 2021, 2020.5, "2020", None]),
            "level": chance.choice([0, 1, 2, 3, 1.5, -1, 2**53 + 1, "3"]),
            "public": chance.choice([True, False, None, 1, "true"]),
            "tags": chance.choice([["a"], ["a", "b"], [1, True, None], ["数据", 1.5], [], "a", {"a": 1}]),
            "note": chance.choice([*_TEXTS, {"en": 1}, [["a"]]]),
            "a key": chance.choice(_NUMBERS),
        }
        kept = {key: value for key, value in row.items() if chance.random() < 0.7}
        document = f"{WORD} word{n % 7}" if n % 4 else None
        points.append(Point(f"t{n:03}", [1.0, n / rows, (n % 5) - 2.0], kept, document))
    return points


def filter_trees(number: int, *, seed: int = 0) -> list[Filter]:
    """Return generated filters of 1 to `DEPTH` levels; the first n of a longer list are the same."""
    return [_Maker(f"{seed}.{n}", n).tree(1 + n % DEPTH) for n in range(number)]


class _Maker:
    def __init__(self, seed: str, first: int) -> None:
        self.chance = random.Random(seed)
        self.next = first
        """The number of the next condition: its operator comes in turn, so that none is forgotten."""

    def tree(self, levels: int) -> Filter:
        if levels == 0:
            return self.negated(self.condition(), 0.3)
        # One branch goes all the way down, so that the tree has this many levels.
        branches = [self.tree(levels - 1)]
        for _ in range(self.chance.choice([1, 1, 2, 3])):
            branches.append(self.tree(self.chance.choice([0, 0, max(0, levels - 2)])))
        self.chance.shuffle(branches)
        kind = And if self.chance.random() < 0.5 else Or
        return self.negated(kind(tuple(branches)), 0.2)

    def negated(self, filter: Filter, share: float) -> Filter:
        return Not(filter) if self.chance.random() < share else filter

    def condition(self) -> Filter:
        self.next += 1
        make = _OPERATORS[self.next % len(_OPERATORS)]
        keys = ABSENT_KEYS if self.chance.random() < 0.2 else _KEYS
        values = ABSENT_VALUES if self.chance.random() < 0.3 else self.chance.choice([_TEXTS, _NUMBERS, ["new", "a"]])
        return make(field(self.chance.choice(keys)), values, self.chance)


def _value(values: Sequence[Any], chance: random.Random) -> Any:
    return chance.choice(values) if chance.random() < 0.8 else chance.choice([True, False, None, 1, "true", "2020"])


def _text(values: Sequence[Any], chance: random.Random) -> str:
    return str(chance.choice(values))


_Make = Callable[[Field, Sequence[Any], random.Random], Filter]
_OPERATORS: list[_Make] = [
    lambda key, values, chance: key == _value(values, chance),
    lambda key, values, chance: key != _value(values, chance),
    lambda key, values, chance: key < chance.choice(values),
    lambda key, values, chance: key <= chance.choice(values),
    lambda key, values, chance: key > chance.choice(values),
    lambda key, values, chance: key >= chance.choice(values),
    lambda key, values, chance: key.in_([_value(values, chance) for _ in range(chance.choice([0, 1, 3, 5]))]),
    lambda key, values, chance: key.not_in([_value(values, chance) for _ in range(chance.choice([0, 1, 3, 5]))]),
    lambda key, values, chance: key.exists(),
    lambda key, values, chance: key.contains(_value(values, chance)),
    lambda key, values, chance: key.startswith(_text(values, chance)[: chance.choice([0, 1, 2, 30])]),
]
