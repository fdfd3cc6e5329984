"""Training: plan, then loop over a pure method; exact, and resumable at any moment.

    plan(model, data, out=…) -> Plan     everything resolved and checked, nothing started
    train(plan) -> Run                   from the start, or from the last checkpoint
    Run.open(folder)                     metrics, adapter or weights, and the plan they came from

Importing this package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dizuo.training.loop import train
    from dizuo.training.method import Method
    from dizuo.training.options import TrainOptions
    from dizuo.training.planning import plan
    from dizuo.training.plans import Plan
    from dizuo.training.run import Run

__all__ = ["Method", "Plan", "Run", "TrainOptions", "plan", "train"]

_HOME = {
    "Method": "method",
    "Plan": "plans",
    "Run": "run",
    "TrainOptions": "options",
    "plan": "planning",
    "train": "loop",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
