"""Finds rows that repeat another row, and rows that contradict another row.

Rows are numbers here, and what they read as are keys (`identity.py`): two rows with one key read the same. The
functions only find; `splitting.py` removes what they find and accounts for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["find_conflicts", "find_copies"]


def find_copies(rows: Iterable[int], keys: Sequence[int]) -> dict[int, int]:
    """Return the rows that repeat an earlier one of `rows`, each with the first that reads the same.

    Args:
        rows: in the order that decides which is the first.
        keys: by row, what it reads as.

    >>> find_copies([0, 1, 2], keys=[7, 8, 7])
    {2: 0}
    """
    first: dict[int, int] = {}
    return {row: first[keys[row]] for row in rows if first.setdefault(keys[row], row) != row}


def find_conflicts(
    rows: Sequence[int], inputs: Sequence[int], labels: Sequence[int], *, keep_first: bool
) -> dict[int, int]:
    """Return the rows whose text stands elsewhere with another label, each with a row that it contradicts.

    Args:
        rows: the rows to look at.
        inputs: by row, the key of its text.
        labels: by row, the number of its label.
        keep_first: leave out the first row of each text.

    >>> find_conflicts([0, 1], inputs=[7, 7], labels=[1, 2], keep_first=False)
    {0: 1, 1: 0}
    """
    first: dict[int, int] = {}
    conflicting: dict[int, int] = {}
    for row in rows:
        earlier = first.setdefault(inputs[row], row)
        if labels[earlier] != labels[row]:
            conflicting.setdefault(inputs[row], row)
    conflicts = {}
    for row in rows:
        other = conflicting.get(inputs[row])
        is_first = first[inputs[row]] == row
        if other is not None and not (keep_first and is_first):
            conflicts[row] = other if is_first else first[inputs[row]]
    return conflicts
