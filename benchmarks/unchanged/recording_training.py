"""Training by five recipes: losses, tokens, splits, weights, checkpoints, plans and manifests, read from the files."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
from content import contents

__all__ = ["things", "trained"]

KILLED_AT = "step-00000010"
"""The checkpoint after which the interrupted run is killed."""


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    for name in samples.FULL:
        yield from trained(name)
    shutil.rmtree("runs/interrupted", ignore_errors=True)
    yield "interrupted: killed after ten steps", interrupt


def trained(name: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the training of a recipe, and what can be read of its folder afterwards."""
    folder = Path("runs", name)
    shutil.rmtree(folder, ignore_errors=True)
    data, run = folder / "2-prepare", folder / "3-train"
    yield f"{name}: steps that ran", lambda: ran(name)
    yield f"{name}: data set and splits", lambda: contents(data)
    yield f"{name}: losses, gradient norms, rates", lambda: contents(run, "metrics.jsonl")
    yield f"{name}: token files", lambda: contents(run, "tokens/**/*")
    yield f"{name}: weights", lambda: contents(run, "adapter/**/*", "model/**/*")
    yield f"{name}: checkpoints", lambda: contents(run, "checkpoints/**/*")
    yield f"{name}: plan", lambda: contents(run, "plan.json")
    yield f"{name}: manifests and the rest", lambda: rest(folder)


def rest(folder: Path) -> dict[str, Any]:
    seen = ("3-train/metrics.jsonl", "3-train/tokens/**/*", "3-train/adapter/**/*", "3-train/model/**/*")
    return contents(
        folder,
        "recipe.yaml",
        "1-select/**/*",
        "3-train/**/*",
        but=(*seen, "3-train/checkpoints/**/*", "3-train/plan.json"),
    )


def ran(name: str) -> list[Any]:
    """Run a recipe until it is trained, and return what was done."""
    import dizuo

    outcome = dizuo.run(f"recipes/{name}.yaml", until="train")
    return [[step.name, step.ran, step.why] for step in outcome.steps]


def interrupt() -> Any:
    """Train in a process that kills itself after the checkpoint of step ten, and return what is left."""
    done = subprocess.run([sys.executable, __file__, "interrupted"], check=False)
    if done.returncode != -signal.SIGKILL:
        raise RuntimeError(f"it should have been killed, and its exit status is {done.returncode}")
    left = list(Path("runs/interrupted").rglob(KILLED_AT))
    if len(left) != 1 or list(Path("runs/interrupted").rglob("finished.json")):
        raise RuntimeError("the interrupted run is not at step ten")
    return contents(left[0])


def _train_and_die(name: str) -> None:
    import dizuo

    def watch(_: Any) -> None:
        if any(Path("runs", name).rglob(KILLED_AT)):
            os.kill(os.getpid(), signal.SIGKILL)

    dizuo.run(f"recipes/{name}.yaml", until="train", watch=watch)


if __name__ == "__main__":
    _train_and_die(sys.argv[1])
