"""What every tracker must do, as tests that anybody's tracker runs through."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from dizuo import models
from dizuo.data import Dataset
from dizuo.events import Event, Metric, Note, Warned
from dizuo.models import ModelSpec
from dizuo.testing.training.methods import weights_of
from dizuo.testing.training.samples import Rows, tiny_model
from dizuo.training import Plan, Run, TrainOptions, plan, train
from dizuo.training.trackers import TRACKERS, Tracker
from dizuo.training.tracking import tracking

__all__ = ["TrackerSuite"]

SMALL: Mapping[str, Any] = {
    "batch_size": 8, "max_steps": 4, "eval_every": 2, "checkpoint_every": 1, "threads": 1, "dtype": "float32",
}  # fmt: skip
"""The runs of the suite: four steps, two evaluations, a checkpoint after each step."""


class _Killed(Exception):
    """Ends a run in the middle of a step."""


class TrackerSuite:
    """Subclass it with a `name` fixture.

        class TestMine(TrackerSuite):
            @pytest.fixture
            def name(self): return "mine"

            def read(self, run):
                return {step: loss}          # as the tool itself reads its records back

    The tracker is found as a recipe finds it, so its package must be installed, and the one that it writes with.
    """

    @pytest.fixture
    def name(self) -> str:
        """The tracker's name."""
        raise NotImplementedError("a subclass says which tracker it tests")

    def read(self, run: Run) -> dict[int, float]:
        """Return the training losses that the tool holds, by step."""
        raise NotImplementedError("a subclass reads the tool's records back")

    # ---- made of these

    @pytest.fixture
    def tracker(self, name: str) -> Tracker:
        return TRACKERS.load(name)

    @pytest.fixture
    def installed(self, tracker: Tracker) -> None:
        """Skips where the tool's package is not there."""
        if tracker.package:
            pytest.importorskip(tracker.package)

    @pytest.fixture
    def spec(self, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
        """A random Llama of two layers."""
        return models.inspect(tiny_model(tmp_path_factory))

    @pytest.fixture
    def data(self, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
        """Forty training rows and nine validation rows."""
        return Rows().write(tmp_path_factory.mktemp("data"))

    @pytest.fixture
    def alone(self, spec: ModelSpec, data: Dataset, tmp_path: Path) -> Run:
        """The run that nobody watches."""
        out = tmp_path / "alone" / "3-train"
        return train(plan(spec, data, out=out, options=TrainOptions(**SMALL), measure=False))

    @pytest.fixture
    def planned(self, spec: ModelSpec, data: Dataset, tmp_path: Path) -> Plan:
        """The plan of the run that is shown."""
        out = tmp_path / "tickets" / "3-train"
        return plan(spec, data, out=out, options=TrainOptions(**SMALL), measure=False)

    # ---- tests

    def test_it_keeps_the_contract(self, tracker: Tracker, name: str) -> None:
        """TRACKER itself is checked where it is loaded."""
        assert tracker.name == name
        assert not tracker.package or tracker.package.isidentifier(), "what is imported"
        assert bool(tracker.package) == bool(tracker.extra), "a package, and what pip installs it by"

    def test_looking_it_up_loads_neither_torch_nor_its_package(self, tracker: Tracker, name: str) -> None:
        code = (
            "import sys; from dizuo.training.trackers import TRACKERS; TRACKERS.load(sys.argv[1]); "
            "print(*{'torch', sys.argv[2]} & sys.modules.keys())"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, name, tracker.package],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        assert not run.stdout.split()

    @pytest.mark.filterwarnings("ignore")
    def test_a_run_is_shown_and_stays_what_it_is(
        self, installed: None, name: str, planned: Plan, alone: Run, capfd: pytest.CaptureFixture[str]
    ) -> None:
        told: list[Event] = []
        with tracking(planned, [name], watch=told.append) as watcher:
            run = train(planned, watch=watcher)
        assert not [event.text for event in told if isinstance(event, Warned)]
        assert any(isinstance(event, Note) and event.text.startswith(f"{name}: ") for event in told), "its place"
        assert self.read(run) == pytest.approx(losses(run), rel=1e-6)
        ours, theirs = weights_of(run), weights_of(alone)
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs), "watching changes nothing"
        assert "".join(capfd.readouterr()) == "", "the terminal is dizuo's"

    @pytest.mark.filterwarnings("ignore")
    def test_a_run_that_was_killed_goes_on_being_shown(self, installed: None, name: str, planned: Plan) -> None:
        told: list[Event] = []

        def watch(event: Event) -> None:
            told.append(event)
            if isinstance(event, Metric) and event.step == 3 and "grad_norm" in event.values:
                raise _Killed

        with pytest.raises(_Killed), tracking(planned, [name], watch=watch) as watcher:
            train(planned, watch=watcher)
        with tracking(planned, [name], watch=told.append) as watcher:
            run = train(planned, watch=watcher)
        assert not [event.text for event in told if isinstance(event, Warned)]
        assert run.finished is not None
        shown = self.read(run)
        assert all(shown[step] == pytest.approx(loss, rel=1e-6) for step, loss in losses(run).items() if step > 2)


def losses(run: Run) -> dict[int, float]:
    """Return the training losses of a run, by step."""
    return {int(line["step"]): float(line["loss"]) for line in run.metrics() if "loss" in line}
