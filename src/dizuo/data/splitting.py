"""Says which row goes to which split, and removes the rows that may be in none: copies, leaks and conflicts.

    1. copies of a row go                            checks/duplicates.py
    2. training rows that stand in a given test go   checks/leakage.py
    3. texts with two labels go                      checks/duplicates.py
    4. test and validation are cut from the rest     stratifying.py
    5. the training rows asked for are drawn         stratifying.py

Given validation and test rows stay whole, because published figures refer to them: what the training rows share with
them is taken from the training rows. Every removed row is in the ledger with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dizuo.data.checks.duplicates import find_conflicts, find_copies
from dizuo.data.checks.identity import shuffled
from dizuo.data.checks.leakage import find_leaks
from dizuo.data.checks.ledger import Ledger
from dizuo.data.dataset import SPLITS, Split
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.sources import Part
from dizuo.data.reading.staging import Staged
from dizuo.data.stratifying import Unit, cut, draw, units_of
from dizuo.errors import DataError
from dizuo.records import Chat, Example, Labelled, Origin

__all__ = ["Assignment", "assign"]

SHOWN = 6
"""Removed rows that are named where no training row is left."""
_HINTS = {
    "conflicts": "correct the labels, or keep the rows with conflicts: keep (or first)",
    "duplicates": "keep the copies with duplicates: keep",
    "leaks": "give other training rows: these are tested",
}


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which staged rows go where."""

    splits: Mapping[str, Sequence[int]]
    """The rows of each split, in their order on disk."""
    references: Mapping[int, Sequence[int]]
    """By row of validation or test, the rows with further right answers to its prompt."""
    notes: tuple[str, ...]
    """What a person should know of."""


def assign(parts: Sequence[Part], staged: Staged, rows: Split, options: PrepareOptions, ledger: Ledger) -> Assignment:
    """Return which row goes to which split; the rows that go to none are written to the ledger.

    Args:
        parts: the sources, which may be given as a split.
        staged: the keys of the rows.
        rows: the staged rows, for their origins.
        options: the sizes of the splits, and what happens to copies and conflicts.
        ledger: accounts for what is removed.

    Raises:
        DataError: no training row is left, or a split cannot have the rows that were asked for.
    """
    return _Assigning(parts, staged, rows, options, ledger).run()


class _Assigning:
    def __init__(
        self, parts: Sequence[Part], staged: Staged, rows: Split, options: PrepareOptions, ledger: Ledger
    ) -> None:
        self._staged, self._rows, self._options, self._ledger = staged, rows, options, ledger
        self._notes: list[str] = []
        self._train: list[int] = []
        self._given: dict[str, list[int]] = {"test": [], "validation": []}
        for row in range(len(staged)):
            split = parts[staged.parts[row]].split
            self._given.get(split, self._train).append(row)

    def run(self) -> Assignment:
        if self._options.duplicates == "remove":
            self._remove_copies()
        self._check_given_rows()
        self._remove_leaks_from_train()
        if self._staged.kind is Labelled and self._options.conflicts != "keep":
            self._remove_conflicts()
        if not self._train:
            raise self._nothing_left()
        splits = self._cut()
        if isinstance(self._options.rows, int) and self._options.rows < len(splits["train"]):
            splits["train"] = self._draw(splits["train"], self._options.rows)
        # Any beginning of a split is a random sample of it.
        orders = self._staged.orders
        splits = {name: sorted(splits[name], key=lambda row: (shuffled(orders[row]), row)) for name in SPLITS}
        references: dict[int, list[int]] = {}
        if self._staged.kind is Chat and self._options.references == "merge":
            for name in ("validation", "test"):
                splits[name] = self._merge_references(splits[name], references)
        return Assignment(splits, references, tuple(self._notes))

    def _remove(self, why: str, row: int, reason: str) -> None:
        example = self._rows[row]
        origin = example.origin
        self._ledger.remove(
            why, file=origin.file, line=origin.line, path=origin.path, reason=reason, identity=example.id
        )

    def _origin(self, row: int) -> str:
        return str(self._rows[row].origin)

    def _remove_copies(self) -> None:
        copies = find_copies(self._train, self._staged.fulls)
        for row, first in copies.items():
            self._remove("duplicates", row, f"reads the same as {self._origin(first)}")
        self._train = [row for row in self._train if row not in copies]

    def _check_given_rows(self) -> None:
        """Note the copies within given rows, and take given test rows out of the given validation rows."""
        for name, given in self._given.items():
            copies = len(given) - len({self._staged.inputs[row] for row in given})
            if copies and self._staged.kind is Labelled:
                self._notes.append(
                    f"{copies:,} rows of the given {name} file repeat others; given rows are left as they are"
                )
        self._given["validation"] = self._without_leaks(self._given["validation"], "test")

    def _remove_leaks_from_train(self) -> None:
        for name, given in self._given.items():
            train_inputs = {self._staged.inputs[row] for row in self._train}
            leaked = sum(self._staged.inputs[row] in train_inputs for row in given)
            if leaked:
                self._notes.append(
                    f"{leaked:,} of {len(given):,} given {name} rows also stood in train; taken from train"
                )
            self._train = self._without_leaks(self._train, name)

    def _without_leaks(self, rows: list[int], name: str) -> list[int]:
        """Return the rows that do not stand in the given split `name`."""
        staged = self._staged
        leaks = find_leaks(rows, self._given[name], staged.inputs, staged.groups, staged.openings_of)
        for row, leak in leaks.items():
            self._remove("leaks", row, f"{leak.why} {name}: {self._origin(leak.held)}")
        return [row for row in rows if row not in leaks]

    def _remove_conflicts(self) -> None:
        staged = self._staged
        conflicts = find_conflicts(
            self._train, staged.exacts, staged.strata, keep_first=self._options.conflicts == "first"
        )
        for row, other in conflicts.items():
            self._remove("conflicts", row, f"has another label at {self._origin(other)}")
        self._train = [row for row in self._train if row not in conflicts]
        near = find_conflicts(self._train, staged.inputs, staged.strata, keep_first=False)
        if near:
            row, other = next(iter(near.items()))
            self._notes.append(
                f"{len(near):,} rows differ from a row with another label in case, punctuation or typography alone, "
                f"and are kept; look at them where this means nothing (first: {self._origin(row)} "
                f"and {self._origin(other)})"
            )

    def _nothing_left(self) -> DataError:
        """Return the error that says where all training rows went; the ledger on disk goes with the failed folder."""
        counts = {why: count for why, count in self._ledger.counts.items() if count}
        most = max(counts, key=lambda why: counts[why])
        return DataError(
            f"no training row is left: {', '.join(f'{count:,} {why}' for why, count in counts.items())}",
            details=[f"{Origin(row.file, row.line, row.path)}: {row.reason}" for row in self._ledger.shown[:SHOWN]],
            hint=_HINTS.get(most, "check the files"),
        )

    def _cut(self) -> dict[str, list[int]]:
        """Return the rows of each split: given ones as they are, the others cut from the training rows."""
        staged, total = self._staged, len(self._train)
        units = units_of(
            self._train,
            inputs=staged.inputs,
            groups=staged.groups,
            strata=staged.strata,
            orders=staged.orders,
            openings=staged.openings_of,
        )
        splits: dict[str, list[int]] = {}
        for name, given in self._given.items():
            wanted = 0 if given else _num_wanted(getattr(self._options, name), name, total)
            if wanted >= total:
                raise DataError(
                    f"{name} asks for {wanted:,} rows, and there are {total:,} to split",
                    hint=f"ask for a smaller {name}",
                )
            if wanted and not given and not isinstance(getattr(self._options, name), int):
                wanted = max(wanted, _smallest(units, total))  # a share is met as nearly as whole groups allow
            taken, units = cut(units, wanted)
            if wanted and not taken:
                raise DataError(
                    f"no {name} rows can be cut: every group has more than {wanted:,} rows",
                    hint=f"ask for more {name} rows, or choose a finer group column",
                )
            cut_rows = [row for unit in taken for row in unit.rows]
            if wanted and len(cut_rows) < wanted:
                self._notes.append(f"{name} has {len(cut_rows):,} rows of {wanted:,} asked for: groups stay whole")
            splits[name] = given or cut_rows
        splits["train"] = [row for unit in units for row in unit.rows]
        if not splits["train"]:
            raise DataError("validation and test leave no training row", hint="ask for smaller validation and test")
        return splits

    def _draw(self, train: list[int], count: int) -> list[int]:
        """Return `count` of the training rows; the others are accounted for as unused."""
        chosen = sorted(train, key=lambda row: (self._staged.orders[row], row))
        drawn = draw(chosen, count, strata=self._staged.strata)
        for _ in range(len(chosen) - len(drawn)):
            self._ledger.remove("unused", file="", line=None, reason="")
        return drawn

    def _merge_references(self, held: list[int], references: dict[int, list[int]]) -> list[int]:
        """Return the rows of a split without further answers to an earlier question, which go to `references`.

        A reference is text: rows whose answers are calls stay rows of their own.
        """
        written = (row for row in sorted(held) if _answers_in_words(self._rows[row]))
        further = find_copies(written, self._staged.exacts)
        for row, first in further.items():
            references.setdefault(first, []).append(row)
            self._remove("merged", row, f"a further answer to {self._origin(first)}")
        return [row for row in held if row not in further]


def _answers_in_words(example: Example) -> bool:
    """Return whether a conversation ends with an answer, and that answer is nothing but text."""
    last = example.messages[-1] if isinstance(example, Chat) else None
    return last is not None and last.role == "assistant" and not last.tool_calls and not last.reasoning_content


def _smallest(units: Sequence[Unit], total: int) -> int:
    """Return the rows of the smallest unit, or 0 where that is more than half of all rows."""
    size = min((len(unit.rows) for unit in units), default=0)
    return size if 2 * size <= total else 0


def _num_wanted(asked: str | float | int | None, name: str, total: int) -> int:
    """Return how many of `total` rows are cut for a split that is not given."""
    if isinstance(asked, str):
        return 0
    if asked is None:
        asked = 0.1 if name == "test" else 0.0
    if isinstance(asked, float) and asked < 1:
        return max(1, round(asked * total)) if asked > 0 and total > 1 else 0
    return int(asked)
