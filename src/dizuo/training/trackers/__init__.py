"""Tools that a run is shown in, one file each. The folder is the registry: `track: [mine]` in a recipe is `mine.py`.

    from dizuo.training.trackers import Tracker

    class Journal:
        def __init__(self, plan, folder, start):            # start: the step after which the run goes on
            self.place = str(folder / "journal.txt")        # told to the user
        def log(self, step, values, time): ...              # figures of a step
        def close(self, *, failed): ...

    TRACKER = Tracker(open=Journal)         # and package="my-tool", extra="my-package[tool]" where it needs one

`dizuo.training.tracking` keeps whatever a tracker raises, prints or draws from random generators away from the run, so
a tracker is written without care for that. `dizuo.testing.TrackerSuite` tests one. A package of yours offers one
through the entry-point group `dizuo.training.trackers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from dizuo.errors import PlanError
from dizuo.plugins import Kind, check_fields
from dizuo.redaction import redact_values

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan
    from dizuo.training.planning.snapshot import JsonObject

__all__ = ["TRACKERS", "TrackedRun", "Tracker", "settings_of"]


class TrackedRun(Protocol):
    """One run as a tool shows it: what `Tracker.open` returns."""

    place: str
    """Where its records are, for people: a folder or an address."""

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        """Record figures of a step; `time` is in seconds since 1970."""

    def close(self, *, failed: bool) -> None:
        """Write what is left and end the run there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracker:
    """A tool that runs are shown in."""

    open: Callable[[Plan, Path, int], TrackedRun]
    """(plan, folder, start) -> the run. It writes files into `folder` if it writes any; `start` is the step after which
    the run goes on, 0 for a new one."""
    package: str = ""
    """The package it writes with, imported when a run is opened; empty where it needs none beyond dizuo's own."""
    extra: str = ""
    """What pip installs that package by, as in `dizuo[tensorboard]`."""
    name: str = ""
    """The name of its file; filled when it is loaded."""

    def __post_init__(self) -> None:
        check_fields(self)


def settings_of(plan: Plan) -> JsonObject:
    """Return what a tracker shows beside the curves: every value of the plan, the model and the method's options."""
    values = plan.use.to_values()
    options = {f"{plan.use.method}.{name}": value for name, value in plan.method_values.items()}
    shown = redact_values({"model": plan.model.id, "plan": plan.digest[:19], **values, **options})
    return cast("JsonObject", shown)


TRACKERS = Kind("tracker", "dizuo.training.trackers", "TRACKER", Tracker, error=PlanError)
"""Every tracker, ours and third parties'."""
