"""A loss that is no number stops the run at once and leaves no result behind."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import torch

from dizuo.errors import TrainingError
from dizuo.training.checkpoints import Checkpoints
from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.trials import Stopped, copy_plan, stop_at, train_plan


def check(subject: Subject) -> Finding:
    """Train the small plan for a step, put NaN into its checkpoint, and see how the run goes on from there."""
    plan = subject.small
    if plan.use.num_steps < 2:
        return skipped("the sample makes a run of one step, which has no loss after it")
    plan = copy_plan(plan, "nan")
    told = ""
    try:
        with contextlib.suppress(Stopped):
            train_plan(subject, plan, watch=stop_at(2))
        checkpoints = Checkpoints(plan.folder / "checkpoints")
        checkpoint = checkpoints.load(1)
        weights = {name: torch.full_like(tensor, torch.nan) for name, tensor in checkpoint.weights().items()}
        checkpoints.save(replace(checkpoint.state), weights, checkpoint.optimizer())
        run = train_plan(subject, plan)
    except TrainingError as error:
        told = error.message
    left = [name for name in ("adapter", "model", "finished.json") if (plan.folder / name).exists()]
    if told and not left:
        return green(f"with NaN in its weights: {told}")
    if told:
        return red(
            f"the run stopped, but left {', '.join(left)}",
            meaning="Something that looks like a trained model is none.",
            hint="report it",
        )
    losses = [line["loss"] for line in run.metrics() if "loss" in line]
    return red(
        f"with NaN in every trained weight the run trained to its end, with losses {losses}",
        meaning="A run whose weights are no numbers would go on for hours and leave a model that answers nothing.",
        hint="the method hides what is not finite: return the loss as it is",
    )


CHECK = Check(title="a loss that is no number stops the run", trap=3, check=check)
