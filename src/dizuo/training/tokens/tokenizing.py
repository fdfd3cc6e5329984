"""The rows of a split as the tokens that will be trained, rendered once and memory-mapped ever after.

`tokenize` renders every row with the method, checks it, and reports every row that cannot be trained with its file
and line. What is written to the run's folder is exactly what is trained, on the first start and on every resume.

Shapes: m examples, n sequences (n = m for most methods), L tokens over all sequences, k targets per example.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dizuo.artifacts.writing import whole_folder, write_json
from dizuo.data.rendering.faults import ModelFault
from dizuo.errors import DizuoError, PlanError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.records import kind_of
from dizuo.training.method import Entry, Method
from dizuo.training.tokens.counts import TokenCounts
from dizuo.training.tokens.cutting import fit
from dizuo.training.tokens.token_store import ARRAYS, TokenStore, digest_arrays

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.records import Example

__all__ = ["Faults", "Rules", "TokenStore", "place_of", "tokenize"]

SHOWN = 10
"""Bad rows named in an error; the rest are counted."""


class Faults:
    """Rows that cannot be trained, with their places and reasons."""

    def __init__(self) -> None:
        self._rows: list[str] = []
        self._hints: Counter[str] = Counter()

    def add(self, reason: str, place: str, *, hint: str | None = None) -> None:
        """Note one row; `hint` says what to do where the fault is not the row's, but the model's or the method's."""
        self._rows.append(f"{place}: {reason}")
        if hint:
            self._hints[hint] += 1

    @property
    def hint(self) -> str:
        """What to do where the model or the method is at fault for most of the rows; otherwise empty."""
        if 2 * self._hints.total() <= len(self._rows):
            return ""
        return self._hints.most_common(1)[0][0]

    def __len__(self) -> int:
        return len(self._rows)

    def lines(self) -> list[str]:
        """Return one line per row for the first `SHOWN`, then how many more there are."""
        more = len(self._rows) - SHOWN
        return self._rows[:SHOWN] + ([f"… and {more:,} more rows"] if more > 0 else [])


@dataclass(slots=True)
class _Growing:
    """Arrays while entries arrive."""

    ids: list[NDArray[np.int32]] = field(default_factory=list)
    weights: list[NDArray[np.float32]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    targets: list[Sequence[float]] = field(default_factory=list)

    def add(self, entry: Entry) -> None:
        self.rows.append(entry.row)
        self.sizes.append(len(entry.sequences))
        self.targets.append(entry.targets)
        for sequence in entry.sequences:
            self.ids.append(np.asarray(sequence.ids, np.int32))
            self.weights.append(np.asarray(sequence.weights, np.float32))

    def arrays(self) -> dict[str, NDArray[Any]]:
        empty = np.empty(0, np.int32)
        lengths = [len(ids) for ids in self.ids]
        return {
            "ids": np.concatenate([empty, *self.ids]).astype(np.int32),
            "weights": np.concatenate([empty.astype(np.float32), *self.weights]).astype(np.float32),
            "starts": np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64),
            "firsts": np.concatenate(([0], np.cumsum(self.sizes, dtype=np.int64))).astype(np.int64),
            "rows": np.array(self.rows, np.int64),
            "targets": np.array(self.targets, np.float32).reshape(len(self.rows), -1 if self.rows else 0),
        }


@dataclass(frozen=True, slots=True)
class Rules:
    """How a row becomes token sequences."""

    method: Method
    options: Any
    """The method's own options."""
    name: str
    """The method's name, for errors."""
    task: Task | None
    tokenizer: Any
    max_length: int
    """Tokens a sequence may have."""
    over_length: str
    """`refuse`, `cut_prompt` (the prompt's middle) or `cut_prompt_left`."""


class _WrongKind(PlanError):
    """A row of a kind that the method does not take."""


def tokenize(
    split: Sequence[Example],
    folder: Path,
    *,
    rules: Rules,
    faults: Faults,
    name: str = "train",
    watch: Watcher = ignore,
) -> TokenStore:
    """Render a split into `folder`, replacing what is there.

    Args:
        split: the examples.
        folder: where the arrays go.
        rules: the method, the tokenizer and the limit.
        faults: receives every row that cannot be trained; such rows are left out of the store.
        name: what the split is called in events and errors.
        watch: told progress.

    Returns:
        The store. Its `counts` are of examples, sequences, tokens, trained tokens, cut rows and cut tokens.

    Raises:
        PlanError: the method cannot make entries of these rows together.
    """
    work = f"tokenize {name}"
    started = time.perf_counter()
    watch(Started(work, len(split), "rows"))
    growing, cut_rows, cut_tokens = _Growing(), 0, 0
    entries = _rendered(split, rules, faults, name=name, work=work, watch=watch)
    if rules.method.arrange is not None:
        entries = iter(rules.method.arrange(list(entries), rules.max_length, rules.options))
    for entry in entries:
        fitting, lost, reason = fit(entry.sequences, rules.max_length, over_length=rules.over_length)
        if reason is not None:
            faults.add(reason, place_of(split[entry.row], name, entry.row))
            continue
        growing.add(replace(entry, sequences=fitting))
        cut_tokens += lost
        cut_rows += lost > 0
    arrays = growing.arrays()
    lengths = np.diff(arrays["starts"])
    counts = TokenCounts(
        examples=len(growing.rows),
        sequences=len(lengths),
        tokens=int(lengths.sum()),
        trained_tokens=int(np.count_nonzero(arrays["weights"])),
        longest=int(lengths.max(initial=0)),
        cut_rows=cut_rows,
        cut_tokens=cut_tokens,
    )
    digest = digest_arrays(*(arrays[key] for key in ARRAYS))
    with whole_folder(folder, replace=True) as partial:
        for key, array in arrays.items():
            np.save(partial / f"{key}.npy", array, allow_pickle=False)
        write_json(partial / "facts.json", {**asdict(counts), "digest": digest})
    watch(Finished(work, time.perf_counter() - started, f"{counts.tokens:,} tokens"))
    return TokenStore(folder)


def _rendered(
    split: Sequence[Example], rules: Rules, faults: Faults, *, name: str, work: str, watch: Watcher
) -> Iterator[Entry]:
    """Yield the rows' entries before anything is cut; rows with a fault are noted and left out."""
    started = told = time.perf_counter()
    for row, example in enumerate(split):
        try:
            yield _entry(row, example, rules)
        except DizuoError as error:
            place = place_of(example, name, row)
            reason = error.message.removeprefix(f"{place}: ")
            not_the_rows = isinstance(error, ModelFault | _WrongKind)
            faults.add(reason, place, hint=error.hint if not_the_rows else None)
        now = time.perf_counter()
        if now - told > 0.5:
            told, rate = now, (row + 1) / (now - started)
            watch(Progress(work, row + 1, len(split), "rows", rate, (len(split) - row - 1) / rate))


def _entry(row: int, example: Example, rules: Rules) -> Entry:
    """Return what the method makes of a row.

    Raises:
        DizuoError: the row cannot be trained.
    """
    method, kind = rules.method, kind_of(example)
    if kind not in method.kinds:
        raise _WrongKind(
            f"a {kind} row, but {rules.name} takes {', '.join(method.kinds)}",
            hint=f"choose a method that takes {kind} rows, or prepare the data as another format",
        )
    sequences = method.sequences(example, rules.task, rules.tokenizer, rules.options)
    targets = () if method.targets is None else method.targets(example, rules.task, rules.options)
    for sequence in sequences:
        if not np.isfinite(sequence.weights).all():
            raise PlanError("a training weight is not finite")
    if not sequences or not (method.reads_last or all(np.any(sequence.weights) for sequence in sequences)):
        raise PlanError("no token of it is trained")
    return Entry(row, sequences, targets)


def place_of(example: Example, name: str, row: int) -> str:
    """Return where a row stands: file and line, or its number in a split."""
    return str(example.origin) if example.origin.file else f"{name} row {row + 1}"
