"""Training: plan, then loop over a pure method; exact, and resumable at any moment.

    plan(model, data, out=…) -> Plan     everything resolved and checked, nothing started
    train(plan) -> Run                   from the start, or from the last checkpoint
    Run.open(folder)                     metrics, adapter or weights, and the plan they came from

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
