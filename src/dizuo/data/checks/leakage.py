"""Finds training rows that also stand in the test or validation rows, or share a group with them.

A row stands there as well where it is the beginning of a conversation that is tested, or goes on from one: the answers
of one conversation are taught by all rows that hold them. A model that has seen the answer scores too high, so such
rows are taken from the training rows. The test rows stay as they are, because published figures refer to them whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Leak", "find_leaks", "no_openings"]


@dataclass(frozen=True, slots=True)
class Leak:
    """Why a training row may not stay."""

    held: int
    """The held-out row that it meets."""
    why: str
    """How the two meet: `stands in`, `begins a conversation of`, `goes on from a row of`, or `has its group in`."""


def no_openings(row: int) -> Sequence[int]:
    """Return the earlier questions of a row that is no conversation: none."""
    return ()


def find_leaks(
    rows: Sequence[int],
    held: Sequence[int],
    inputs: Sequence[int],
    groups: Sequence[int],
    openings: Callable[[int], Sequence[int]] = no_openings,
) -> dict[int, Leak]:
    """Return those of `rows` that share a question with a held-out row, or are of the group of one.

    Args:
        rows: the training rows.
        held: the held-out rows.
        inputs: by row, the key of the question before its last answer.
        groups: by row, the key of its group; 0 for none.
        openings: gives the keys of the questions before a row's earlier answers.

    >>> find_leaks([0, 1], [2], inputs=[7, 8, 7], groups=[0, 0, 0])
    {0: Leak(held=2, why='stands in')}
    """
    held_inputs = {inputs[row]: row for row in reversed(held)}
    held_openings = {opening: row for row in reversed(held) for opening in openings(row)}
    held_groups = {groups[row]: row for row in reversed(held) if groups[row]}
    leaks = {}
    for row in rows:
        if inputs[row] in held_inputs:
            leaks[row] = Leak(held_inputs[inputs[row]], "stands in")
        elif inputs[row] in held_openings:
            leaks[row] = Leak(held_openings[inputs[row]], "begins a conversation of")
        elif (met := next((opening for opening in openings(row) if opening in held_inputs), None)) is not None:
            leaks[row] = Leak(held_inputs[met], "goes on from a row of")
        elif groups[row] in held_groups:
            leaks[row] = Leak(held_groups[groups[row]], "has its group in")
    return leaks
