"""Cuts rows in the labels' proportions: stratified, seeded, and never a copy or a group on both sides.

Rows are first joined to units: rows that read the same to the model, rows that begin the same conversation, and rows of
one group. Units are ordered by a
hash of their first row's content and the seed, so that a row keeps its place when others are added. Each stratum
(label) gives its share by largest remainder, which is within one row of proportional.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dizuo.data.checks.leakage import no_openings

__all__ = ["Unit", "allot", "cut", "draw", "units_of"]


@dataclass(frozen=True, slots=True)
class Unit:
    """Rows that stay together."""

    rows: tuple[int, ...]
    stratum: int
    """The label of its first row."""
    order: int
    """Its place in the seeded order."""


def units_of(
    rows: Sequence[int],
    *,
    inputs: Sequence[int],
    groups: Sequence[int],
    strata: Sequence[int],
    orders: Sequence[int],
    openings: Callable[[int], Sequence[int]] = no_openings,
) -> list[Unit]:
    """Join rows that share an input or a group (directly or through others) and return the units.

    A conversation is joined to every row whose question it answers on its way: that row is a beginning of it. Rows that
    only begin alike are not joined, or all conversations that open with a greeting would be one. The work grows with
    the number of answers, not with pairs of rows.

    Args:
        rows: the rows to split; the other arguments are indexed by row.
        inputs: key of what the model reads before the last answer.
        groups: key of the row's group, 0 for none.
        strata: label of the row.
        orders: place of the row in the seeded order.
        openings: gives the keys of what the model reads before a row's earlier answers.
    """
    parent = {row: row for row in rows}

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for keys in (inputs, groups):
        first: dict[int, int] = {}
        for row in rows:
            if keys is groups and keys[row] == 0:
                continue
            parent[root(row)] = root(first.setdefault(keys[row], row))
    beginnings: dict[int, int] = {}
    for row in rows:
        beginnings.setdefault(inputs[row], row)
    for row in rows:
        for opening in openings(row):
            if opening in beginnings:
                parent[root(row)] = root(beginnings[opening])
    members: dict[int, list[int]] = {}
    for row in rows:
        members.setdefault(root(row), []).append(row)
    units = []
    for together in members.values():
        together.sort(key=lambda row: (orders[row], row))
        units.append(Unit(tuple(together), strata[together[0]], orders[together[0]]))
    return sorted(units, key=lambda unit: (unit.order, unit.rows[0]))


def allot(sizes: dict[int, int], count: int) -> dict[int, int]:
    """Return how many of `count` each stratum gives: its proportional share, rounded by largest remainder."""
    total = sum(sizes.values())
    shares = {stratum: count * size / total for stratum, size in sizes.items()}
    given = {stratum: int(share) for stratum, share in shares.items()}
    by_remainder = sorted(sizes, key=lambda stratum: (given[stratum] - shares[stratum], -sizes[stratum], stratum))
    for stratum in by_remainder[: count - sum(given.values())]:
        given[stratum] += 1
    return given


def cut(units: list[Unit], count: int) -> tuple[list[Unit], list[Unit]]:
    """Return (units with `count` rows in the strata's proportions, the other units), both in order.

    With units of several rows the count is met as nearly as whole units allow, and never exceeded.
    """
    sizes: dict[int, int] = {}
    for unit in units:
        sizes[unit.stratum] = sizes.get(unit.stratum, 0) + len(unit.rows)
    if count <= 0 or not units:
        return [], units
    room = allot(sizes, min(count, sum(sizes.values())))
    taken: set[int] = set()
    for at, unit in enumerate(units):
        if len(unit.rows) <= room[unit.stratum]:
            room[unit.stratum] -= len(unit.rows)
            taken.add(at)
    left = sum(room.values())
    for at, unit in enumerate(units):  # what a stratum's whole units could not fill, others may
        if left and at not in taken and len(unit.rows) <= left:
            left -= len(unit.rows)
            taken.add(at)
    return [unit for at, unit in enumerate(units) if at in taken], [u for at, u in enumerate(units) if at not in taken]


def draw(rows: Sequence[int], count: int, *, strata: Sequence[int]) -> list[int]:
    """Return `count` of the rows in the labels' proportions: the first of each label, in the given order."""
    sizes: dict[int, int] = {}
    for row in rows:
        sizes[strata[row]] = sizes.get(strata[row], 0) + 1
    room = allot(sizes, min(count, len(rows)))
    kept = []
    for row in rows:
        if room[strata[row]] > 0:
            room[strata[row]] -= 1
            kept.append(row)
    return kept
