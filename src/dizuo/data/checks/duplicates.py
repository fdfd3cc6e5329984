"""Which rows are kept and where: duplicates, leaks and conflicts go before any split is drawn.

Given validation and test rows are never touched: published figures refer to them whole. What the training rows share
with them is taken from the training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from dizuo.data.checks.identity import shuffled
from dizuo.data.checks.ledger import Ledger
from dizuo.data.dataset import SPLITS, Split
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.sources import Part
from dizuo.data.reading.staging import Staged
from dizuo.data.splitting import cut, draw, units_of
from dizuo.errors import DataError
from dizuo.records import Chat, Labelled

__all__ = ["assign"]

_Remove: TypeAlias = Callable[[str, int, str], None]
"""(reason in the ledger, row, what to say about it)."""
_Place: TypeAlias = Callable[[int], str]


def assign(
    parts: list[Part], staged: Staged, rows: Split, options: PrepareOptions, ledger: Ledger
) -> tuple[dict[str, list[int]], dict[int, list[int]], list[str]]:
    """Return (rows of each split in their order on disk, further answers of a row, what people should know)."""
    pools: dict[str, list[int]] = {"": [], "validation": [], "test": []}
    for row in range(len(staged)):
        split = parts[staged.parts[row]].split
        pools["" if split == "train" else split].append(row)
    notes: list[str] = []

    def remove(why: str, row: int, reason: str) -> None:
        origin = rows[row].origin
        ledger.remove(why, file=origin.file, line=origin.line, path=origin.path, reason=reason, identity=rows[row].id)

    def place(row: int) -> str:
        return str(rows[row].origin)

    train = pools[""]
    if options.duplicates == "remove":
        train = _drop_duplicates(train, staged, remove, place)
    for given in ("test", "validation"):
        above = pools["test"] if given == "validation" else []
        if pools[given]:
            copies = len(pools[given]) - len({staged.inputs[row] for row in pools[given]})
            if copies and staged.kind is Labelled:
                notes.append(
                    f"{copies:,} rows of the given {given} file repeat others; given rows are left as they are"
                )
        if given == "validation" and above:
            pools[given] = _drop_leaks(pools[given], above, "test", staged, remove, place)
    for given in ("test", "validation"):
        before = {staged.inputs[row] for row in train}
        leaked = sum(staged.inputs[row] in before for row in pools[given])
        if leaked:
            notes.append(
                f"{leaked:,} of {len(pools[given]):,} given {given} rows also stood in train; taken from train"
            )
        train = _drop_leaks(train, pools[given], given, staged, remove, place)
    if staged.kind is Labelled and options.conflicts != "keep":
        train = _drop_conflicts(train, staged, options.conflicts, remove, place)
    if not train:
        raise DataError(
            "no training row is left after duplicates and leaks", hint="look at the ledger; check the files"
        )
    units = units_of(train, inputs=staged.inputs, groups=staged.groups, strata=staged.strata, orders=staged.orders)
    total = len(train)
    splits: dict[str, list[int]] = {}
    for name in ("test", "validation"):
        wanted = _wanted(getattr(options, name), name, total, given=bool(pools[name]))
        if wanted >= total:
            raise DataError(
                f"{name} asks for {wanted:,} rows, and there are {total:,} to split", hint=f"ask for a smaller {name}"
            )
        taken, units = cut(units, wanted)
        if wanted and not taken:
            raise DataError(
                f"no {name} rows can be cut: every group has more than {wanted:,} rows",
                hint=f"ask for more {name} rows, or choose a finer group column",
            )
        cut_rows = [row for unit in taken for row in unit.rows]
        if wanted and len(cut_rows) < wanted:
            notes.append(f"{name} has {len(cut_rows):,} rows of {wanted:,} asked for: groups stay whole")
        splits[name] = pools[name] or cut_rows
    splits["train"] = [row for unit in units for row in unit.rows]
    if not splits["train"]:
        raise DataError("validation and test leave no training row", hint="ask for smaller validation and test")
    if isinstance(options.rows, int) and options.rows < len(splits["train"]):
        chosen = sorted(splits["train"], key=lambda row: (staged.orders[row], row))
        kept = draw(chosen, options.rows, strata=staged.strata)
        for _ in range(len(chosen) - len(kept)):
            ledger.remove("unused", file="", line=None, reason="")
        splits["train"] = kept
    ordered = {
        name: sorted(splits[name], key=lambda row: (shuffled(staged.orders[row]), row)) for name in SPLITS
    }  # any beginning of a split is a random sample of it
    references: dict[int, list[int]] = {}
    if staged.kind is Chat and options.references == "merge":
        for name in ("validation", "test"):
            ordered[name] = _merge_references(ordered[name], staged, references, remove, place)
    return {name: ordered[name] for name in SPLITS}, references, notes


def _wanted(asked: str | float | int | None, name: str, total: int, *, given: bool) -> int:
    if given or isinstance(asked, str):
        return 0
    if asked is None:
        asked = 0.1 if name == "test" else 0.0
    if isinstance(asked, float) and asked < 1:
        return max(1, round(asked * total)) if asked > 0 and total > 1 else 0
    return int(asked)


def _drop_duplicates(train: list[int], staged: Staged, remove: _Remove, place: _Place) -> list[int]:
    first: dict[int, int] = {}
    kept = []
    for row in train:
        same = first.setdefault(staged.fulls[row], row)
        if same == row:
            kept.append(row)
        else:
            remove("duplicates", row, f"reads the same as {place(same)}")
    return kept


def _drop_leaks(
    train: list[int], held: list[int], name: str, staged: Staged, remove: _Remove, place: _Place
) -> list[int]:
    if not held:
        return train
    inputs = {staged.inputs[row]: row for row in reversed(held)}
    groups = {staged.groups[row]: row for row in reversed(held) if staged.groups[row]}
    kept = []
    for row in train:
        if staged.inputs[row] in inputs:
            remove("leaks", row, f"stands in {name}: {place(inputs[staged.inputs[row]])}")
        elif staged.groups[row] in groups:
            remove("leaks", row, f"its group stands in {name}: {place(groups[staged.groups[row]])}")
        else:
            kept.append(row)
    return kept


def _drop_conflicts(train: list[int], staged: Staged, policy: str, remove: _Remove, place: _Place) -> list[int]:
    first: dict[int, int] = {}
    conflicting: dict[int, int] = {}
    for row in train:
        same = first.setdefault(staged.inputs[row], row)
        if staged.strata[same] != staged.strata[row]:
            conflicting.setdefault(staged.inputs[row], row)
    kept = []
    for row in train:
        other = conflicting.get(staged.inputs[row])
        if other is None or (policy == "first" and first[staged.inputs[row]] == row):
            kept.append(row)
        else:
            against = first[staged.inputs[row]] if first[staged.inputs[row]] != row else other
            remove("conflicts", row, f"has another label at {place(against)}")
    return kept


def _merge_references(
    held: list[int], staged: Staged, references: dict[int, list[int]], remove: _Remove, place: _Place
) -> list[int]:
    first: dict[int, int] = {}
    for row in sorted(held):
        same = first.setdefault(staged.inputs[row], row)
        if same != row:
            references.setdefault(same, []).append(row)
            remove("merged", row, f"a further answer to {place(same)}")
    return [row for row in held if first[staged.inputs[row]] == row]
