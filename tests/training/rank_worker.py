"""One rank of a test: trains the plans of some folders, one after the other, in one group.

    rank_worker.py PIDS FOLDER… [--stop STEP]

It writes its process id to PIDS/RANK. With --stop, rank 0's watcher fails in the middle of that step. A folder may hold
`{rank}`.
"""

import os
import sys
from pathlib import Path

import torch

import dizuo.training.methods
from dizuo.errors import DizuoError
from dizuo.events import Metric
from dizuo.training import Run, train
from dizuo.training.ranks.group import join, read_rank

torch.set_num_threads(1)
dizuo.training.methods.__path__.append(str(Path(__file__).parent / "rank_methods"))


def main(arguments):
    stop = int(arguments.pop()) if "--stop" in arguments else None
    pids, *folders = [argument for argument in arguments if argument != "--stop"]
    Path(pids, str(read_rank())).write_text(str(os.getpid()))

    def watch(event):
        if stop is not None and isinstance(event, Metric) and event.step == stop and "grad_norm" in event.values:
            raise ValueError("the watcher had enough")

    try:
        with join(timeout=600) as ranks:
            for folder in folders:
                train(Run.open(folder.replace("{rank}", str(ranks.rank))).plan, ranks=ranks, watch=watch)
    except DizuoError as error:
        print(f"rank {read_rank()}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
