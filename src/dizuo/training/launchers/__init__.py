"""Ways to start the processes (ranks) that train together, one file each; the folder is the registry.

    def launch(plan, *, ranks, worker=("dizuo.training",), watch=ignore):
        ...                             # start `ranks` processes of `python -m WORKER FOLDER --events`, wait for them
        return Run.open(plan.folder)

    LAUNCHER = Launcher(launch=launch)

A launcher hands on what rank 0 tells its watcher (one JSON line per event on standard output), ends all processes when
one ends with an error, and raises what stopped them as a TrainingError that names the rank.
`dizuo.testing.LauncherSuite` tests one. A package of yours offers one through the entry-point group
`dizuo.training.launchers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dizuo.errors import PlanError
from dizuo.events import Watcher
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan
    from dizuo.training.run import Run

__all__ = ["LAUNCHERS", "Launch", "Launcher"]


class Launch(Protocol):
    """A function that trains a plan by several processes."""

    def __call__(self, plan: Plan, *, ranks: int, worker: Sequence[str] = ..., watch: Watcher = ...) -> Run:
        """Return the finished run, having gone on from its last checkpoint where there is one.

        Args:
            plan: it is in its folder already.
            ranks: processes; on GPUs each takes one.
            worker: module and further arguments of a rank; the run's folder and `--events` are put behind the module.
            watch: told what rank 0 tells.

        Raises:
            TrainingError: what stopped the ranks, naming the one that was first.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """A way to start the processes of a run."""

    launch: Launch
    """(plan, ranks=…, worker=…, watch=…) -> the finished run."""
    name: str = ""
    """The name of its file; filled when it is loaded."""

    def __post_init__(self) -> None:
        check_fields(self)


LAUNCHERS = Kind("launcher", "dizuo.training.launchers", "LAUNCHER", Launcher, error=PlanError)
"""Every launcher, ours and third parties'."""
