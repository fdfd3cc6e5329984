"""TensorBoard: event files in the run's folder, written by torch's own writer.

`tensorboard --logdir runs` shows all runs. A resumed run adds a file that hides the steps which it takes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.training.trackers import Tracker, settings_of

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan


class Board:
    """One event file."""

    def __init__(self, plan: Plan, folder: Path, start: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.place = str(folder)
        self._writer = SummaryWriter(log_dir=str(folder), purge_step=start + 1 if start else None)
        rows = [f"| {name} | {value} |" for name, value in settings_of(plan).items()]
        text = "\n".join(["| setting | value |", "|---|---|", *rows])
        self._writer.add_text("plan", text, start)

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        for name, value in values.items():
            self._writer.add_scalar(_tag(name), value, step, walltime=time)

    def close(self, *, failed: bool) -> None:
        self._writer.close()


def _tag(name: str) -> str:
    """Return a name that puts the figures of validation, of speed and of training into a section each."""
    if name.startswith("validation_"):
        return f"validation/{name.removeprefix('validation_')}"
    return f"{'speed' if name in ('tokens', 'packed_tokens', 'seconds') else 'train'}/{name}"


TRACKER = Tracker(package="tensorboard", extra="dizuo[tensorboard]", open=Board)
