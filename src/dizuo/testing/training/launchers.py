"""What every launcher must do, as tests that anybody's launcher runs through; each starts real processes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load_file, save_file

from dizuo import models
from dizuo.data import Dataset
from dizuo.errors import TrainingError
from dizuo.events import Event, Finished, Metric, Note, Progress, Started
from dizuo.models import ModelSpec
from dizuo.testing.training.methods import weights_of
from dizuo.testing.training.samples import Rows, labelled, tiny_model, write_model
from dizuo.training import Run, TrainOptions, plan, train
from dizuo.training.launchers import LAUNCHERS, Launcher

__all__ = ["LauncherSuite"]

SMALL: Mapping[str, Any] = {
    "batch_size": 8, "epochs": 1.0, "checkpoint_every": 2, "eval_every": 3, "learning_rate": 3e-4, "dtype": "float32",
}  # fmt: skip
"""41 rows in steps of 8: the last step has one row, so all ranks but one have none."""


class LauncherSuite:
    """Subclass it with a `name` fixture.

        class TestMine(LauncherSuite):
            @pytest.fixture
            def name(self): return "mine"

    The launcher is found as the training step finds it, so its package must be installed.
    """

    ranks: ClassVar[int] = 2

    @pytest.fixture
    def name(self) -> str:
        """The launcher's name."""
        raise NotImplementedError("a subclass says which launcher it tests")

    # ---- made of these

    @pytest.fixture
    def launcher(self, name: str) -> Launcher:
        return LAUNCHERS.load(name)

    @pytest.fixture(autouse=True)
    def _one_thread(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")

    @pytest.fixture
    def spec(self, tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
        """A random Llama of two layers."""
        return models.inspect(tiny_model(tmp_path_factory))

    @pytest.fixture
    def data(self, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
        """41 training rows and nine validation rows."""
        return Rows(train=labelled(41)).write(tmp_path_factory.mktemp("data"))

    # ---- tests

    def test_it_keeps_the_contract(self, launcher: Launcher, name: str) -> None:
        """LAUNCHER itself is checked where it is loaded."""
        assert launcher.name == name

    def test_ranks_train_what_one_process_does_and_tell_what_they_do(
        self, launcher: Launcher, spec: ModelSpec, data: Dataset, tmp_path: Path
    ) -> None:
        alone = plan(spec, data, out=tmp_path / "one", options=TrainOptions(**SMALL), measure=False)
        shutil.copytree(tmp_path / "one", tmp_path / "several")
        events: list[Event] = []
        run = launcher.launch(Run.open(tmp_path / "several").plan, ranks=self.ranks, watch=events.append)
        kinds = [type(event) for event in events]
        assert kinds[0] is Started
        assert kinds[-1] is Finished
        assert {Progress, Metric} <= set(kinds)
        steps = [event.step for event in events if isinstance(event, Metric) and "grad_norm" in event.values]
        assert steps == [1, 2, 3, 4, 5, 6]
        assert run.finished is not None
        facts = run.finished["facts"]
        assert isinstance(facts, Mapping)
        assert facts["ranks"] == self.ranks
        ours, theirs = weights_of(run), weights_of(train(alone))
        assert ours.keys() == theirs.keys()
        assert all(torch.allclose(ours[key], theirs[key], rtol=0, atol=1e-5) for key in theirs)
        told: list[Event] = []
        assert launcher.launch(run.plan, ranks=self.ranks, watch=told.append) == run, "a finished run is given back"
        assert not [event for event in told if not isinstance(event, Note)]

    def test_what_stops_the_ranks_is_raised(self, launcher: Launcher, data: Dataset, tmp_path: Path) -> None:
        """The model's last norm is NaN, so the first loss is."""
        folder = write_model(tmp_path / "poisoned")
        weights = load_file(folder / "model.safetensors")
        weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.nan)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        options = TrainOptions(**{**SMALL, "layout": "padded", "eval_every": 0})
        made = plan(models.inspect(folder), data, out=tmp_path / "run", options=options, measure=False)
        with pytest.raises(TrainingError, match=r"^the loss is nan at step"):
            launcher.launch(made, ranks=self.ranks)

    def test_a_rank_that_ends_without_a_word_is_raised_too(
        self, launcher: Launcher, spec: ModelSpec, data: Dataset, tmp_path: Path
    ) -> None:
        """The worker is a module that there is not."""
        made = plan(spec, data, out=tmp_path / "run", options=TrainOptions(**SMALL), measure=False)
        with pytest.raises(TrainingError):
            launcher.launch(made, ranks=self.ranks, worker=("dizuo.training.no_such_module",))
