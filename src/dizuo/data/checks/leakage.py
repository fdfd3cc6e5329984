"""Finds training rows that also stand in the test or validation rows, or share a group with them.

A model that has seen the answer scores too high, so such rows are taken from the training rows. The test rows stay as
they are, because published figures refer to them whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Leak", "find_leaks"]


@dataclass(frozen=True, slots=True)
class Leak:
    """Why a training row may not stay."""

    held: int
    """The held-out row that it meets."""
    by_group: bool
    """The two share a group and not the text."""


def find_leaks(
    rows: Sequence[int], held: Sequence[int], inputs: Sequence[int], groups: Sequence[int]
) -> dict[int, Leak]:
    """Return those of `rows` that read the same as a held-out row, or are of the group of one.

    Args:
        rows: the training rows.
        held: the held-out rows.
        inputs: by row, the key of what the model reads.
        groups: by row, the key of its group; 0 for none.

    >>> find_leaks([0, 1], [2], inputs=[7, 8, 7], groups=[0, 0, 0])
    {0: Leak(held=2, by_group=False)}
    """
    held_inputs = {inputs[row]: row for row in reversed(held)}
    held_groups = {groups[row]: row for row in reversed(held) if groups[row]}
    leaks = {}
    for row in rows:
        if inputs[row] in held_inputs:
            leaks[row] = Leak(held_inputs[inputs[row]], by_group=False)
        elif groups[row] in held_groups:
            leaks[row] = Leak(held_groups[groups[row]], by_group=True)
    return leaks
