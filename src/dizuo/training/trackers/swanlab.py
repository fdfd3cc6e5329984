"""SwanLab: a project of the recipe's name, one experiment per training run.

`SWANLAB_MODE` decides where it goes (`online`, `local`, `offline`). Where it is not set, experiments are sent only when
`SWANLAB_API_KEY` is set, and otherwise kept in the run's folder for `swanlab sync`. Only online experiments can be gone
on with; a resumed run that is kept as files begins another one at the step where it resumes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dizuo.training.trackers import Tracker, settings_of

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan


class Experiment:
    """One experiment of SwanLab."""

    def __init__(self, plan: Plan, folder: Path, start: int) -> None:
        import swanlab

        mode = os.environ.get("SWANLAB_MODE") or ("online" if os.environ.get("SWANLAB_API_KEY") else "offline")
        project = plan.folder.absolute().parent.name or "dizuo"
        digest = plan.digest.removeprefix("sha256:")
        again = {"id": digest[:21], "resume": "allow"} if mode == "online" else {}
        self._swanlab: Any = swanlab
        swanlab.init(
            project=project,
            name=f"{project} {digest[:8]}",
            config=settings_of(plan),
            log_dir=str(folder),
            mode=cast(Any, mode),
            **cast(Any, again),
        )
        self.place = str(folder)

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        self._swanlab.log({name: float(value) for name, value in values.items()}, step=step)

    def close(self, *, failed: bool) -> None:
        self._swanlab.finish(state="crashed" if failed else "success")


TRACKER = Tracker(package="swanlab", extra="dizuo[swanlab]", open=Experiment)
