"""Training: a plan is made of options, a model and data; a loop takes its steps; the result is a run.

A model, a data set and `TrainOptions` go in; a `Run` comes out: an adapter or weights, with all that led to them.

    plan(model, data, out=…) -> Plan     everything resolved and checked, nothing started
    train(plan) -> Run                   from the start, or from the last checkpoint
    Run.open(folder)                     metrics, adapter or weights, and the plan they came from

In the order in which a run passes through them:

    planning/              options -> `Plan`: every value with its reason, every fault at once
    method.py, methods/    what is trained, as pure functions; one file for each method
    preference_pairs.py    what methods on pairs of answers share
    tokens/                rows -> token files -> the blocks of a step
    building/              plan + model -> what can be stepped
    loop.py                the loop: steps, evaluations, checkpoints
    stepping/              one optimizer step
    ranks/, launchers/     several processes that train one plan; what starts them
    checkpoints.py         what a killed run goes on from
    resuming.py            going on exactly there, or refusing to
    run.py                 the run's folder
    tracking.py, trackers/ the run shown in other tools
    doctor/                the self-test before a run

Importing this package loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.training.loop import train
    from dizuo.training.method import Method
    from dizuo.training.planning.options import TrainOptions
    from dizuo.training.planning.plan import Plan
    from dizuo.training.planning.planner import plan
    from dizuo.training.run import Run

__all__ = ["Method", "Plan", "Run", "TrainOptions", "plan", "train"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Method": "method",
        "Plan": "planning.plan",
        "Run": "run",
        "TrainOptions": "planning.options",
        "plan": "planning.planner",
        "train": "loop",
    },
)
