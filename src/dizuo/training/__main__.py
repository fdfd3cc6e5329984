"""`python -m dizuo.training FOLDER [--events]`: train the plan in a folder, as launchers do.

    torchrun --nproc-per-node 2 -m dizuo.training FOLDER        two ranks on one machine

Started by itself it is one process. See `worker.py` for what it prints.
"""

from __future__ import annotations

import sys

from dizuo.training.ranks.worker import run_worker


def main(arguments: list[str]) -> int:
    """Train the plan in the folder given; return the exit code."""
    folders = [argument for argument in arguments if argument != "--events"]
    if len(folders) != 1:
        print("usage: python -m dizuo.training FOLDER [--events]", file=sys.stderr)
        return 2
    return run_worker(folders[0], events="--events" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
