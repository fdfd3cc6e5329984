"""Running every check on one subject, in the order of the list of mistakes."""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.errors import DizuoError
from dizuo.events import Finished, Progress, Started, Watcher, ignore
from dizuo.training.doctor.checks import CHECKS, Check
from dizuo.training.doctor.findings import Finding, red
from dizuo.training.doctor.subject import Subject

if TYPE_CHECKING:
    from dizuo.data import Dataset
    from dizuo.models import Model
    from dizuo.training.method import MethodOptions
    from dizuo.training.planning.options import TrainOptions
    from dizuo.training.planning.plan import Plan

__all__ = ["ROWS", "Diagnosis", "Result", "examine"]

ROWS = 2000
"""Training rows looked at, unless all are asked for. Rows lie in random order, so these are a random sample."""


@dataclass(frozen=True, slots=True)
class Result:
    """One check and its finding."""

    check: str
    """Name of its file, as in `end_of_turn`."""
    title: str
    """What holds when it is green."""
    trap: int
    """Number of the mistake that it looks for, see `docs/concepts/mistakes.md`."""
    finding: Finding
    seconds: float
    """What the check took."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Every check on one model and data set."""

    results: tuple[Result, ...]
    num_rows: int
    """Training rows looked at."""
    num_train: int
    """Training rows there are."""
    seconds: float

    @property
    def red(self) -> tuple[Result, ...]:
        """The checks that found something."""
        return tuple(result for result in self.results if result.finding.state == "red")

    @property
    def healthy(self) -> bool:
        """Whether nothing was found."""
        return not self.red

    def __getitem__(self, check: str) -> Finding:
        """Return one check's finding by its name."""
        return next(result.finding for result in self.results if result.check == check)


def examine(
    model: Model,
    data: Dataset,
    *,
    options: TrainOptions | None = None,
    method_options: MethodOptions | None = None,
    plan: Plan | None = None,
    rows: int | None = ROWS,
    only: Sequence[str] | None = None,
    watch: Watcher = ignore,
) -> Diagnosis:
    """Return what every check finds; nothing is trained that lasts, and the test split is only read for duplicates.

    Args:
        model: loaded in float32; it comes back unchanged.
        data: prepared, with training rows.
        options: of the run that is to be examined.
        method_options: the method's own options; its defaults where None.
        plan: a plan of that run made earlier, whose layout and backend are then followed without measuring again.
        rows: training rows to look at; None looks at all. Checks that need the model take a few short ones of them.
        only: names of checks; None is all of them.
        watch: told which check runs.

    Raises:
        PlanError: there are no training rows, or no method or check of that name.
    """
    started = time.perf_counter()
    for name in only or ():
        CHECKS.check(name)
    names = [name for name in CHECKS.names() if only is None or name in only]
    checks = sorted((CHECKS.load(name) for name in names), key=lambda check: (check.trap, check.name))
    results = []
    watch(Started("doctor", len(checks), "checks"))
    with tempfile.TemporaryDirectory(prefix="dizuo-doctor-") as folder:
        subject = Subject(
            model, data, options=options, method_options=method_options, plan=plan, rows=rows, folder=Path(folder)
        )
        try:
            for number, check in enumerate(checks, start=1):
                begun = time.perf_counter()
                finding = _run(check, subject)
                seconds = time.perf_counter() - begun
                results.append(Result(check.name, check.title, check.trap, finding, seconds))
                watch(Progress("doctor", number, len(checks), "checks"))
        finally:
            subject.rest()
    seconds = time.perf_counter() - started
    diagnosis = Diagnosis(tuple(results), len(subject.rows), len(data.train), seconds)
    watch(Finished("doctor", seconds, f"{len(diagnosis.red)} red of {len(results)}"))
    return diagnosis


def _run(check: Check, subject: Subject) -> Finding:
    """Return one check's finding. A check that fails is red: what it looks for may be there."""
    try:
        return check.check(subject)
    except DizuoError as error:
        return red(
            f"stopped: {error.message}",
            meaning="Training would stop for the same reason, or this check could not do its work.",
            lines=error.details,
            hint=error.hint or "see the message",
        )
    except Exception as error:  # a user's model and method are called here, which may raise anything
        text = (str(error).splitlines() or ["no message"])[0][:200]
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
        return red(
            f"failed: {type(error).__name__}: {text}",
            meaning="The model, the method or the check itself raised an error that nobody expected.",
            lines=[
                f"{frame.filename}, line {frame.lineno}, in {frame.name}" for frame in (*frames[:1], *frames[1:][-1:])
            ],
            hint="look at these lines; report it if dizuo is at fault",
        )
