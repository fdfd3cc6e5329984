"""Showing a run in the tools that teams watch runs with: TensorBoard, MLflow, Weights & Biases, SwanLab, trackio.

A tracker is a module in `trackers/`; the folder is the registry. It has

    PACKAGE   the package it writes with, imported when the tracker opens
    EXTRA     what installs it, as in `dizuo[tensorboard]`
    open      (plan, folder, start) -> Tracker

A tracker only watches: what it raises, prints or draws from random generators reaches neither the run nor its output.
One that fails is told of once, closed, and not asked again.
"""

from __future__ import annotations

import contextlib
import io
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dizuo import plugins
from dizuo.errors import DizuoError, PlanError
from dizuo.events import Event, Metric, Note, Warned, Watcher, ignore

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan

__all__ = ["PACKAGE", "Tracker", "check_names", "settings_of", "tracking"]

PACKAGE = "dizuo.training.trackers"


class Tracker(Protocol):
    """What `open` of a tracker module returns."""

    place: str
    """Where its records are, for people: a folder or an address."""

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        """Record figures of a step; `time` is in seconds since 1970."""

    def close(self, *, failed: bool) -> None:
        """Write what is left and end the run there."""


def check_names(names: Sequence[str]) -> None:
    """Refuse trackers that do not exist.

    Raises:
        PlanError: naming the first, and those that exist.
    """
    for name in names:
        if name not in plugins.names(PACKAGE):
            try:
                plugins.load(PACKAGE, name, noun="tracker")
            except DizuoError as error:
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
    open_ones: dict[str, Tracker] = {}
    start = _last_step(plan.folder / "checkpoints")
    for name in names:
        with _unnoticed(name, open_ones, watch):
            open_ones[name] = _open(name, plan, start)
        if name in open_ones:  # told outside: in there nothing reaches the terminal
            watch(Note(f"{name}: {open_ones[name].place}"))

    def watcher(event: Event) -> None:
        watch(event)
        if isinstance(event, Metric):
            for name in tuple(open_ones):
                with _unnoticed(name, open_ones, watch):
                    open_ones[name].log(event.step, event.values, event.time)

    failed = True
    try:
        yield watcher
        failed = False
    finally:
        for name in tuple(open_ones):
            with _unnoticed(name, open_ones, watch):
                open_ones[name].close(failed=failed)


def settings_of(plan: Plan) -> dict[str, Any]:
    """Return what a tracker shows beside the curves: every value of the plan, the model and the method's options."""
    values = plan.use.to_values()
    options = {f"{plan.use.method}.{name}": value for name, value in plan.method_values.items()}
    return {"model": plan.model.id, "plan": plan.digest[:19], **values, **options}


def _open(name: str, plan: Plan, start: int) -> Tracker:
    module = plugins.load(PACKAGE, name, noun="tracker")
    folder = plan.folder / "tracking" / name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        tracker: Tracker = module.open(plan, folder, start)
    except ImportError as error:
        raise DizuoError(f'{module.PACKAGE} cannot be imported ({error}): pip install "{module.EXTRA}"') from error
    return tracker


def _last_step(checkpoints: Path) -> int:
    """Return the step after which a run goes on: what trackers hold of later ones will be written anew."""
    names = [path.name for path in checkpoints.glob("step-*")] if checkpoints.is_dir() else []
    return max((int(name[5:]) for name in names if name[5:].isdigit()), default=0)


@contextmanager
def _unnoticed(name: str, trackers: dict[str, Tracker], watch: Watcher) -> Iterator[None]:
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
        failed = trackers.pop(name, None)
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
    if took > SLOW and name in trackers:
        watch(Note(f"{name} took {took:.0f} s"))


SLOW = 10.0
"""Seconds of one call above which it is told that a tracker holds up the run."""
