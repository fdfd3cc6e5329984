"""A run that is stopped and resumed, twice, ends with the bits of one that was not."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from dizuo.errors import TrainingError
from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.trials import Stopped, copy_plan, stop_at, train_plan
from dizuo.training.run import Run


def check(subject: Subject) -> Finding:
    """Train the small plan once in one go, and once with a stop in every later step."""
    plan = subject.small
    steps = plan.use.num_steps
    if steps < 2:
        return skipped("the sample makes a run of one step, which cannot be stopped in between")
    stops = range(2, steps + 1) if plan.use.adapter != "full" else (steps,)  # a full model's checkpoints are large
    try:
        whole = train_plan(subject, copy_plan(plan, "whole"))
        broken = copy_plan(plan, "broken")
        for step in stops:
            try:
                train_plan(subject, broken, watch=stop_at(step))
            except Stopped:
                continue
            break
        resumed = train_plan(subject, broken)
    except TrainingError as error:
        if "is nan" in error.message or "is inf" in error.message:
            return skipped(f"the small run does not get that far: {error.message}")
        raise
    first, second = _weights(whole), _weights(resumed)
    different = sorted(name for name in first if not torch.equal(first[name], second[name]))
    times = "twice" if len(stops) == 2 else "once" if len(stops) == 1 else f"{len(stops)} times"
    measured = f"{steps} steps, stopped {times}: {len(different)} of {len(first):,} trained tensors differ"
    if not different:
        return green(measured)
    return red(
        measured,
        meaning="A run that is interrupted gives another model than one that is not, so no result can be repeated.",
        lines=[f"{name}: by {float((first[name] - second[name]).abs().max()):.1e}" for name in different],
        hint="look for randomness outside torch, numpy and random in the method; otherwise report it",
    )


def _weights(run: Run) -> dict[str, torch.Tensor]:
    folder: Path | None = run.adapter or run.weights
    assert folder is not None
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
    return weights


CHECK = Check(title="stopping and resuming changes nothing", trap=6, check=check)
