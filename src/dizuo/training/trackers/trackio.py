"""trackio: a local SQLite file with the interface of Weights & Biases; `trackio show` opens its dashboard.

Records are kept where trackio keeps them: `TRACKIO_DIR`, or the cache of huggingface_hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.training.trackers import Tracker, settings_of

if TYPE_CHECKING:
    from dizuo.training.planning.plan import Plan


class Run:
    """One run of trackio."""

    def __init__(self, plan: Plan, folder: Path, start: int) -> None:
        import trackio

        project = plan.folder.absolute().parent.name or "dizuo"
        self._trackio: Any = trackio
        # Plans of one recipe differ in their digests; a resumed run has the same one and goes on.
        trackio.init(
            project=project,
            name=f"{project} {plan.digest.removeprefix('sha256:')[:8]}",
            config=settings_of(plan),
            resume="allow" if start else "never",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
        self.place = str(trackio.utils.TRACKIO_DIR)

    def log(self, step: int, values: Mapping[str, float], time: float) -> None:
        self._trackio.log({name: float(value) for name, value in values.items()}, step=step)

    def close(self, *, failed: bool) -> None:
        self._trackio.finish()


TRACKER = Tracker(package="trackio", extra="dizuo[trackio]", open=Run)
