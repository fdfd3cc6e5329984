"""kill -9 at random moments: no checkpoint is lost, and the final weights have the bits of an uninterrupted run."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dizuo.training import Run, TrainOptions, plan
from dizuo.training.checkpoints import Checkpoints

OPTIONS = {
    "batch_size": 8,
    "max_steps": 60,
    "learning_rate": 3e-3,
    "checkpoint_every": 2,
    "eval_every": 7,
    "threads": 1,
}


@pytest.mark.slow
def test_twenty_kills_at_random_moments_change_no_bit(spec, data, out, tmp_path):
    plan(spec, data, out=out, options=TrainOptions(**OPTIONS), measure=False)
    server = Path(__file__).with_name("kill_server.py")
    done = subprocess.run(
        [sys.executable, str(server), str(out), str(tmp_path / "work"), "20", "0"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    figures = json.loads(done.stdout.strip().split("\n")[-1])
    assert figures["kills"] == 20
    assert figures["while_writing"] >= 5, f"every fourth kill is aimed at a checkpoint being written: {figures}"
    assert figures["equal"] is True
    # At most the steps since the last checkpoint are lost, never a checkpoint.
    assert figures["steps_lost"] <= 20 * (OPTIONS["checkpoint_every"] + 1)


@pytest.mark.slow
def test_the_launcher_goes_on_after_a_kill(spec, data, out, tmp_path):
    whole = plan(spec, data, out=tmp_path / "whole", options=TrainOptions(**OPTIONS), measure=False)
    subprocess.run([sys.executable, "-m", "dizuo.training", str(whole.folder)], check=True, timeout=120)
    killed = plan(spec, data, out=out, options=TrainOptions(**OPTIONS), measure=False)
    draw = random.Random(1)
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-m", "dizuo.training", str(killed.folder)])
        before = len(Checkpoints(out / "checkpoints").steps()[-1:]) and Checkpoints(out / "checkpoints").steps()[-1]
        while not (steps := Checkpoints(out / "checkpoints").steps()) or steps[-1] <= before:
            assert process.poll() is None, "it ended before its first checkpoint"
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.2))
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended by itself: make the run longer"
    subprocess.run([sys.executable, "-m", "dizuo.training", str(killed.folder)], check=True, timeout=120)
    results = [Run.open(folder).adapter / "adapter_model.safetensors" for folder in (whole.folder, out)]
    assert results[0].read_bytes() == results[1].read_bytes()
