"""Showing a run in the tools that teams watch runs with: TensorBoard, MLflow, Weights & Biases, SwanLab, trackio.

    with tracking(plan, ["tensorboard"], watch=watch) as watcher:
        train(plan, watch=watcher)

`trackers/` holds the tools, one file each. A tracker only watches: what it raises, prints or draws from random
generators reaches neither the run nor its output. One that fails is reported once, closed, and not asked again.
"""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.errors import DizuoError, PlanError
from dizuo.events import Event, Metric, Note, Warned, Watcher, ignore
from dizuo.training.trackers import TRACKERS, TrackedRun

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan

__all__ = ["check_names", "tracking"]


def check_names(names: Sequence[str]) -> None:
    """Refuse names that no tracker has; no tracker is imported.

    Raises:
        PlanError: naming the first, and those that exist.
    """
    for name in names:
        try:
            TRACKERS.check(name)
        except PlanError as error:
            raise PlanError(f"train.track: {error.message}", hint=error.hint) from None


@contextmanager
def tracking(plan: Plan, names: Sequence[str], *, watch: Watcher = ignore) -> Iterator[Watcher]:
    """Yield a watcher that shows a run to trackers and hands every event on.

    Args:
        plan: of the run; trackers write into `tracking/NAME` of its folder, where they write files.
        names: modules in `trackers/`, such as `["tensorboard"]`.
        watch: told every event of the run, and of a tracker that fails.

    Raises:
        PlanError: there is no tracker of that name. Nothing else that a tracker does raises.
    """
    check_names(names)
    open_runs: dict[str, TrackedRun] = {}
    start = _last_step(plan.folder / "checkpoints")
    for name in names:
        with _shield(name, open_runs, watch):
            open_runs[name] = _open(name, plan, start)
        if name in open_runs:  # told outside: in there nothing reaches the terminal
            watch(Note(f"{name}: {open_runs[name].place}"))

    def watcher(event: Event) -> None:
        watch(event)
        if isinstance(event, Metric):
            for name in tuple(open_runs):
                with _shield(name, open_runs, watch):
                    open_runs[name].log(event.step, event.values, event.time)

    failed = True
    try:
        yield watcher
        failed = False
    finally:
        for name in tuple(open_runs):
            with _shield(name, open_runs, watch):
                open_runs[name].close(failed=failed)


def _open(name: str, plan: Plan, start: int) -> TrackedRun:
    tracker = TRACKERS.load(name)
    folder = plan.folder / "tracking" / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return tracker.open(plan, folder, start)
    except ImportError as error:
        if not tracker.package:
            raise
        raise DizuoError(f'{tracker.package} cannot be imported ({error}): pip install "{tracker.extra}"') from error


def _last_step(checkpoints: Path) -> int:
    """Return the step after which a run goes on: what trackers hold of later ones will be written anew."""
    names = [path.name for path in checkpoints.glob("step-*")] if checkpoints.is_dir() else []
    return max((int(name[5:]) for name in names if name[5:].isdigit()), default=0)


@contextmanager
def _shield(name: str, open_runs: dict[str, TrackedRun], watch: Watcher) -> Iterator[None]:
    """Keep what a tracker does away from the run: its errors, its output, and its use of random generators."""
    import numpy as np
    import torch

    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    began = time.perf_counter()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            yield
    except Exception as error:  # a foreign package, which may raise anything
        failed = open_runs.pop(name, None)
        text = (str(error).splitlines() or [type(error).__name__])[0][:200]
        if failed is not None:
            with (
                contextlib.suppress(Exception),
                contextlib.redirect_stdout(said),
                contextlib.redirect_stderr(said),
            ):
                failed.close(failed=True)
        watch(Warned(f"{name} shows nothing of this run any more, which goes on without it: {text}"))
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])
    took = time.perf_counter() - began
    if took > SLOW and name in open_runs:
        watch(Note(f"{name} took {took:.0f} s"))


SLOW = 10.0
"""Seconds of one call above which it is told that a tracker holds up the run."""
