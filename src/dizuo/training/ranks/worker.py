"""One rank of a run, as a launcher starts it: joins the others, trains the plan in a folder, tells what happens.

This is a program's body, so it writes: an error to standard error, and, asked to, what the watcher is told to standard
output, a JSON object a line, and an error too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from dizuo.errors import DizuoError
from dizuo.events import Event, Watcher, ignore
from dizuo.training.loop import train
from dizuo.training.planning.plan import Plan
from dizuo.training.ranks.group import Ranks, is_launched, join, read_rank
from dizuo.training.run import Run
from dizuo.training.stepping.validating import EvaluateFn

__all__ = ["run_worker"]


def run_worker(
    folder: str | Path,
    *,
    events: bool = False,
    evaluate: Callable[[Plan, Ranks, Watcher], EvaluateFn | None] | None = None,
) -> int:
    """Train the plan in a folder as the rank that this process is; return the exit code.

    Args:
        folder: the run's folder.
        events: write events and errors to standard output.
        evaluate: makes a further evaluation, for the ranks that this process is one of.
    """
    watch = _tell if events else ignore
    try:
        plan = Run.open(folder).plan
        with join(device=plan.use.device) as ranks:
            train(plan, ranks=ranks, watch=watch, evaluate_fn=evaluate(plan, ranks, watch) if evaluate else None)
    except DizuoError as error:
        suffix = f" (rank {read_rank()})" if is_launched() else ""
        sys.stderr.write(f"error{suffix}: {error}\n")
        if events:
            fault = {"message": error.message, "details": error.details, "hint": error.hint, "rank": read_rank()}
            _say({"error": type(error).__name__, **fault})
        return error.exit_code
    return 0


def _tell(event: Event) -> None:
    _say({"event": type(event).__name__, **asdict(event)})


def _say(value: dict[str, object]) -> None:
    # One write per line, so that the lines of two ranks do not run into each other.
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()
