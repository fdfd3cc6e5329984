"""A killed `dizuo run` is started again and ends where an uninterrupted one does."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

DIZUO = Path(sys.executable).with_name("dizuo")
RUN = [str(DIZUO), "run", "tiny.yaml", "--set", "train.epochs=40", "--set", "train.checkpoint_every=3"]
RUN += ["--set", "train.threads=1"]


def weights(place: Path, name: str = "tiny") -> bytes:
    return (place / "runs" / name / "3-train" / "model" / "model.safetensors").read_bytes()


def written(place: Path) -> int:
    """Return when the run last wrote a step, or cut its steps back to the checkpoint it resumes from."""
    try:
        return (place / "runs" / "tiny" / "3-train.partial" / "metrics.jsonl").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@pytest.mark.slow
def test_kill_9_at_random_moments_changes_no_bit(place: Path) -> None:
    subprocess.run([*RUN, "--set", "name=whole"], check=True, capture_output=True, timeout=280)
    rng = random.Random(0)
    kills = 0
    for _ in range(40):
        process = subprocess.Popen(RUN, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        before, began = written(place), time.monotonic()
        while process.poll() is None and written(place) == before and time.monotonic() - began < 60:
            time.sleep(0.02)
        time.sleep(rng.uniform(0.0, 0.6))
        if process.poll() is not None:
            break
        process.kill()
        process.wait(timeout=30)
        kills += 1
        folder = place / "runs" / "tiny"
        assert (folder / "3-train").is_dir() or not (folder / "4-evaluate").exists()
    else:
        pytest.fail("no run came to its end")
    assert kills >= 3
    assert weights(place) == weights(place, "whole")
    left = {path.name for path in (place / "runs" / "tiny").iterdir()}
    assert left == {"1-select", "2-prepare", "3-train", "4-evaluate", "5-deploy", "recipe.yaml"}
