"""Trains a plan without interruption, then again in processes that are killed with SIGKILL at random moments.

Every fourth kill waits until a checkpoint is being written.

    python kill_server.py PLANNED_FOLDER WORK_FOLDER KILLS SEED

Everything is imported once; each attempt is a forked process of its own, so that a kill costs no start-up. Prints one
JSON object: kills, kills that hit a checkpoint being written, steps lost, runs finished, and whether every finished
run equals the uninterrupted one bit for bit.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import torch

from dizuo.training import Run, train
from dizuo.training.checkpoints import Checkpoints


def files(folder: Path) -> dict[str, bytes]:
    """Return the result's tensors, the last checkpoint's and the metrics without times, as bytes."""
    out = {"adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes()}
    last = Checkpoints(folder / "checkpoints").steps()[-1]
    for name in ("weights", "optimizer"):
        out[name] = (folder / "checkpoints" / f"step-{last:08d}" / f"{name}.safetensors").read_bytes()
    lines = [{k: v for k, v in line.items() if k != "seconds"} for line in Run.open(folder).metrics()]
    out["metrics"] = json.dumps(lines).encode()
    return out


def fresh(planned: Path, folder: Path) -> Path:
    """Copy a plan that was not begun."""
    folder.mkdir(parents=True)
    shutil.copy(planned / "plan.json", folder)
    shutil.copytree(planned / "tokens", folder / "tokens")
    return folder


def being_written(folder: Path) -> bool:
    """Return whether a checkpoint of a run is half written."""
    try:
        return any((folder / "checkpoints").glob(".*.partial-*"))
    except FileNotFoundError:  # a folder that was renamed while we looked
        return False


def attempt(folder: Path, delay: float | None, aimed: bool = False) -> bool:
    """Train in another process and kill it after a delay; return whether it ended by itself.

    An aimed kill waits, after its delay, until a checkpoint is being written. The process is stopped before one looks a
    second time, so that the checkpoint cannot be finished in between.
    """
    child = os.fork()
    if child == 0:
        try:
            train(Run.open(folder).plan)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(9)
    ended, status = 0, 0
    if delay is not None:
        time.sleep(delay)
        while aimed and not ended:
            if being_written(folder):
                os.kill(child, signal.SIGSTOP)
                ended, status = os.waitpid(child, os.WUNTRACED)
                if os.WIFSTOPPED(status):
                    ended = 0
                    if being_written(folder):
                        break
                    os.kill(child, signal.SIGCONT)
            else:
                ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        if delay is not None:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status):
        raise SystemExit(f"a resumed run failed with {os.WEXITSTATUS(status)}")
    return True


def main() -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    planned, work, kills, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    draw = random.Random(seed)
    started = time.perf_counter()
    train(Run.open(fresh(planned, work / "whole")).plan)
    seconds = time.perf_counter() - started
    expected = files(work / "whole")

    done = writing = lost = 0
    equal: list[bool] = []
    number = 0
    folder = fresh(planned, work / f"run{number}")
    while done < kills:
        # Every fourth kill is aimed, so that on a fast disk too these hit a checkpoint being written.
        if not attempt(folder, draw.uniform(0, 0.4 * seconds), aimed=done % 4 == 3):
            done += 1
            writing += being_written(folder)
            steps = Checkpoints(folder / "checkpoints").steps()
            metrics = Run.open(folder).metrics()
            lost += max((line["step"] for line in metrics), default=0) - (steps[-1] if steps else 0)
            continue
        equal.append(files(folder) == expected)
        number += 1
        folder = fresh(planned, work / f"run{number}")
    attempt(folder, None)
    equal.append(files(folder) == expected)
    figures = {"kills": done, "while_writing": writing, "steps_lost": lost, "runs": len(equal), "equal": all(equal)}
    print(json.dumps({**figures, "seconds_whole": seconds}))


if __name__ == "__main__":
    main()
