"""Weights & Biases: a project of the recipe's name, one run per training run.

`WANDB_MODE` decides where it goes. Where it is not set, runs are sent only when `WANDB_API_KEY` is set, and otherwise
kept in the run's folder for `wandb sync`: nothing leaves a machine whose owner has not said so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from dizuo.training.trackers import Tracker, settings_of

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan


class Run:
    """One run of Weights & Biases."""

    def __init__(self, plan: Plan, folder: Path, start: int) -> None:
        import wandb

        mode = os.environ.get("WANDB_MODE") or ("online" if os.environ.get("WANDB_API_KEY") else "offline")
        project = plan.folder.absolute().parent.name or "dizuo"
        self._run: Any = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or project,
            name=project,
            id=plan.digest.removeprefix("sha256:")[:16],
            resume="allow",
            dir=str(folder),
            config=settings_of(plan),
            mode=cast(Literal["online", "offline", "disabled", "shared"], mode),
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
        )
        self.place = self._run.url or str(folder)

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        self._run.log({**values, "_timestamp": time}, step=step)

    def close(self, *, failed: bool) -> None:
        self._run.finish(exit_code=int(failed))


TRACKER = Tracker(package="wandb", extra="dizuo[wandb]", open=Run)
