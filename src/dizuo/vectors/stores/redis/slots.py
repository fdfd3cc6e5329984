"""The numbers of metadata, and the fields of the index that hold them.

Adding a field to an index builds all of it anew, so it has some fields for numbers from the start (`slots`), and the
numbers that metadata turns into get them in the order in which they come: `exact/tags_and_numbers.py` makes one of a
number and up to four of a text. A number beyond them has no field, and filters on it read metadata.

Each field costs, whether it is used or not: the module looks for every one of them in every record that is written. 256
of them took 23 µs of the 233 that a record of 384 numbers takes the server, 64 take 10 (RediSearch 2.10.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dizuo.vectors.exact.tags_and_numbers import TRUE, Condition, FlatMetadata, flatten_filter
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.stores.redis.filters import number_columns, readable

__all__ = ["Slots"]

ASSIGN = """
local held = redis.call('HLEN', KEYS[1])
for place = 2, #ARGV do
  if held < tonumber(ARGV[1]) and redis.call('HSETNX', KEYS[1], ARGV[place], held) == 1 then held = held + 1 end
end
return redis.call('HGETALL', KEYS[1])
"""
"""Gives a slot to each number that has none, as long as there are slots, and returns all of them."""


class Slots:
    """Which field holds which number, for all namespaces of a collection.

    Args:
        client: of the server, which has the last word.
        key: the hash that has them there.
        most: fields for numbers that every index has.
    """

    def __init__(self, client: Any, key: str, most: int) -> None:
        self.client, self.key, self.most = client, key, most
        self.known: dict[str, str] = {}
        """The field by number, as far as this client has heard of them."""
        self.script = client.register_script(ASSIGN)

    def missing(self, flats: Sequence[FlatMetadata]) -> list[str]:
        """Return the numbers of records that may still get a field, without asking the server."""
        if len(self.known) >= self.most:
            return []
        return sorted({name for flat in flats for name in flat.numbers} - self.known.keys())

    def assign(self, flats: Sequence[FlatMetadata]) -> None:
        """Give every number of these records a field, as long as there are any."""
        if new := self.missing(flats):
            self._remember(self.script(keys=[self.key], args=[self.most, *new]))

    def fields(self, flats: Sequence[FlatMetadata], texts: Sequence[str]) -> list[dict[str, Any]]:
        """Return the fields of a hash that hold each record's metadata, for readers and for filters."""
        known = self.known
        return [
            {"m": text, "t": " ".join(flat.tags)}
            | {known[name]: repr(value) for name, value in flat.numbers.items() if name in known}
            for text, flat in zip(texts, flats, strict=True)
        ]

    def condition(self, where: Filter | None) -> tuple[Condition, bool]:
        """Return a filter as a condition on fields of the index, and whether it means the same."""
        condition, same = flatten_filter(where)
        missing = number_columns(condition) - self.known.keys()
        if missing:
            self._remember([part for pair in self.client.hgetall(self.key).items() for part in pair])
            missing -= self.known.keys()
        if missing and len(self.known) >= self.most:
            return TRUE, False
        return readable(condition, self.known), same

    def _remember(self, answer: Sequence[bytes]) -> None:
        self.known = {name.decode(): f"x{int(slot)}" for name, slot in zip(answer[::2], answer[1::2], strict=True)}
