"""Short real runs of the small plan, and stopping them where a kill would."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from dizuo.events import Event, Metric, Watcher
from dizuo.training.doctor.subject import Patient
from dizuo.training.loop import train
from dizuo.training.planning.plan import Plan
from dizuo.training.run import Run

__all__ = ["Stopped", "copy", "stop_at", "trained"]


class Stopped(Exception):
    """Ends the work in the middle of a step, before its checkpoint."""


def copy(plan: Plan, name: str) -> Plan:
    """Return the plan in a folder of its own, with its tokens."""
    folder = plan.folder.with_name(f"{plan.folder.name}-{name}")
    shutil.copytree(plan.folder / "tokens", folder / "tokens")
    moved = replace(plan, folder=folder)
    moved.write()
    return moved


def trained(patient: Patient, plan: Plan, **more: Any) -> Run:
    """Train on the patient's own weights where they come back as they were, else on freshly loaded ones."""
    patient.rest()
    return train(plan, model=None if plan.use.adapter == "full" else patient.model, **more)


def stop_at(step: int) -> Watcher:
    """Return a watcher that stops a run in this step."""

    def watch(event: Event) -> None:
        if isinstance(event, Metric) and event.step == step:
            raise Stopped

    return watch
