"""Short real runs of the small plan, stopped where a kill would stop them."""

from __future__ import annotations

import shutil
from dataclasses import replace

from dizuo.events import Event, Metric, Watcher, ignore
from dizuo.training.doctor.subject import Subject
from dizuo.training.loop import train
from dizuo.training.planning.plan import Plan
from dizuo.training.run import Run

__all__ = ["Stopped", "copy_plan", "stop_at", "train_plan"]


class Stopped(Exception):
    """Raised by a watcher to end a run in the middle of a step, before its checkpoint."""


def copy_plan(plan: Plan, name: str) -> Plan:
    """Return the plan in a folder of its own, with its tokens."""
    folder = plan.folder.with_name(f"{plan.folder.name}-{name}")
    shutil.copytree(plan.folder / "tokens", folder / "tokens")
    moved = replace(plan, folder=folder)
    moved.write()
    return moved


def train_plan(subject: Subject, plan: Plan, *, watch: Watcher = ignore) -> Run:
    """Train on the subject's own weights where they come back as they were, else on freshly loaded ones."""
    subject.rest()
    return train(plan, model=None if plan.use.adapter == "full" else subject.model, watch=watch)


def stop_at(step: int) -> Watcher:
    """Return a watcher that stops a run in this step."""

    def watch(event: Event) -> None:
        if isinstance(event, Metric) and event.step == step:
            raise Stopped

    return watch
