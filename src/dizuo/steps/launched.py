"""`python -m dizuo.steps.launched RUN --events DATA SAMPLES`: one rank of a training step, answers and all.

Launchers start it instead of `dizuo.training`, which knows nothing of the answers in samples.jsonl.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dizuo import data
from dizuo.events import Watcher
from dizuo.steps.samples import sample_writer
from dizuo.training.planning.plan import Plan
from dizuo.training.ranks.group import Ranks
from dizuo.training.ranks.worker import run_worker
from dizuo.training.stepping.validating import EvaluateFn

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Train the plan in a run's folder as one rank; return the exit code."""
    folder, source, count = (argument for argument in arguments if argument != "--events")

    def writer(plan: Plan, ranks: Ranks, watch: Watcher) -> EvaluateFn | None:
        if not ranks.first or plan.use.shard != "none":  # no rank has a whole model to ask
            return None
        return sample_writer(data.open(source), Path(folder), count=int(count), watch=watch)

    return run_worker(folder, events="--events" in arguments, evaluate=writer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
