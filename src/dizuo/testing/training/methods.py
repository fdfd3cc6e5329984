"""What every training method must do, as tests that anybody's method runs through."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dizuo import models
from dizuo.data import Dataset, Task
from dizuo.models import Model
from dizuo.records import Example
from dizuo.testing.training.samples import LABELS, ROWS, Rows, tiny_model
from dizuo.training import Method, Plan, Run, TrainOptions, plan, train
from dizuo.training.doctor import examine
from dizuo.training.launchers import LAUNCHERS
from dizuo.training.methods import METHODS

__all__ = ["ADAPTERS", "MethodSuite"]

ADAPTERS: Mapping[str, Mapping[str, Any]] = {
    "LoRA": {"adapter": "lora"},
    "DoRA": {"adapter": "dora"},
    "rsLoRA": {"adapter": "rslora"},
    "QLoRA": {"adapter": "lora", "quantize": "nf4"},
    "8-bit": {"adapter": "lora", "quantize": "int8"},
    "full": {"adapter": "full"},
}
"""Every kind of adapter, with the options that ask for it."""
SMALL: Mapping[str, Any] = {
    "batch_size": 6,
    "max_steps": 3,
    "eval_every": 3,
    "rank": 4,
    "learning_rate": 3e-4,
    "dtype": "float32",
    "threads": 1,
}
"""The runs of the suite: three steps of a model with two layers."""


class MethodSuite:
    """Subclass it with a `name` fixture.

        class TestMine(MethodSuite):
            @pytest.fixture
            def name(self): return "mine"

    The method is found as a recipe finds it, so its package must be installed. Override what is special about it:
    `options` (its own, as in a recipe), `rows` and `task` where rows of the first of its kinds will not do.
    """

    ranks: ClassVar[int] = 2
    """Processes of the test of several; 1 leaves it out."""

    @pytest.fixture
    def name(self) -> str:
        """The method's name."""
        raise NotImplementedError("a subclass says which method it tests")

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Its own options, as they stand in a recipe."""
        return {}

    @pytest.fixture
    def task(self, method: Method) -> Task | None:
        """The task of the rows; only labelled ones have one."""
        if method.kinds[0] != "labelled":
            return None
        return Task("classification", instruction="Classify the text.", labels=tuple(sorted(LABELS)))

    @pytest.fixture
    def rows(self, method: Method) -> list[Example]:
        """Some thirty different rows that it takes."""
        return ROWS[method.kinds[0]](30)

    @pytest.fixture(params=list(ADAPTERS))
    def adapter(self, request: pytest.FixtureRequest) -> str:
        """One kind of adapter after the other, see `ADAPTERS`."""
        return str(request.param)

    # ---- made of these

    @pytest.fixture
    def method(self, name: str) -> Method:
        return METHODS.load(name)

    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> Model:
        """A random Llama of two layers."""
        return models.load(models.inspect(tiny_model(tmp_path_factory)))

    @pytest.fixture
    def data(self, rows: list[Example], task: Task | None, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
        """The rows, the last six of them for validation."""
        return Rows(train=rows[:-6], validation=rows[-6:], task=task).write(tmp_path_factory.mktemp("data"))

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Any:
        """Tiny models run faster on one thread, and other tests may be running."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def planned(
        self, name: str, options: Mapping[str, Any], model: Model, data: Dataset, out: Path, **more: Any
    ) -> Plan:
        """Return a plan of three steps."""
        own = METHODS.load(name).Options(**options)
        made = TrainOptions(**{**SMALL, "method": name, **more})
        return plan(model.spec, data, out=out, options=made, method_options=own, measure=False)

    # ---- tests

    def test_it_keeps_the_contract(self, method: Method, name: str, options: Mapping[str, Any]) -> None:
        """METHOD itself is checked where it is loaded."""
        assert method.name == name
        assert method.kinds
        assert set(method.kinds) <= set(ROWS), f"{name} takes rows of a kind that there is not"
        assert is_dataclass(method.Options)
        assert method.Options.__dataclass_params__.frozen, "a plan holds the options, which must not change"  # type: ignore[attr-defined]
        assert sys.modules[method.Options.__module__].__doc__, "a method begins with its loss as a formula"
        method.Options()
        method.Options(**options)
        assert (method.head is None) == (method.num_outputs is None), "a head's outputs mean something"
        assert (method.before is None) == (not method.members_before)

    def test_its_options_are_read_without_loading_torch(self, name: str) -> None:
        """Recipes are checked and completed on the command line, which answers at once."""
        code = (
            "import sys; from dizuo.training.methods import METHODS; METHODS.load(sys.argv[1]).Options(); "
            "print(*{'torch', 'transformers', 'peft'} & sys.modules.keys())"
        )
        path = os.pathsep.join(sys.path)
        run = subprocess.run(
            [sys.executable, "-c", code, name], env={**os.environ, "PYTHONPATH": path},
            capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
        assert not run.stdout.split()

    def test_a_row_becomes_the_same_tokens_every_time(
        self, method: Method, options: Mapping[str, Any], model: Model, data: Dataset
    ) -> None:
        own = method.Options(**options)
        for example in data.train:
            first, second = (method.sequences(example, data.task, model.tokenizer, own) for _ in range(2))
            assert first
            for sequence, again in zip(first, second, strict=True):
                assert np.array_equal(sequence.ids, again.ids)
                assert np.array_equal(sequence.weights, again.weights)
                assert len(sequence.ids) == len(sequence.weights)
                assert np.isfinite(sequence.weights).all()
                assert sequence.weights[0] == 0, "nothing is before the first token that could predict it"

    def test_the_doctor_finds_nothing(
        self, name: str, method: Method, options: Mapping[str, Any], model: Model, data: Dataset
    ) -> None:
        """Loss and gradient depend on neither blocks nor layout, a stopped run ends with the same bits, and so on."""
        made = TrainOptions(method=name, dtype="float32", threads=1, rank=4)
        diagnosis = examine(model, data, options=made, method_options=method.Options(**options))
        assert diagnosis.healthy, [(result.check, result.finding) for result in diagnosis.red]

    def test_it_trains_with_every_adapter(
        self, name: str, options: Mapping[str, Any], model: Model, data: Dataset, tmp_path: Path, adapter: str
    ) -> None:
        if adapter == "QLoRA":
            pytest.importorskip("bitsandbytes")
        made = self.planned(name, options, model, data, tmp_path / "run", **ADAPTERS[adapter])
        run = train(made)
        steps = [line for line in run.metrics() if "grad_norm" in line]
        assert [line["step"] for line in steps] == [1, 2, 3]
        assert all(math.isfinite(value) for line in run.metrics() for value in line.values())
        assert all(line["grad_norm"] > 0 for line in steps)
        assert sum(line["packed_tokens"] for line in steps) < sum(line["tokens"] for line in steps), (
            "nothing was shared"
        )
        assert (run.weights if adapter == "full" else run.adapter) is not None
        again = train(self.planned(name, options, model, data, tmp_path / "more", **ADAPTERS[adapter], max_steps=1))
        after_one, after_three = weights_of(again), weights_of(run)
        assert any(not torch.equal(after_three[key], weight) for key, weight in after_one.items()), (
            "later steps change weights"
        )

    def test_several_ranks_train_what_one_does(
        self, name: str, options: Mapping[str, Any], model: Model, data: Dataset, tmp_path: Path
    ) -> None:
        if self.ranks < 2:
            pytest.skip("the test of several ranks is left out")
        alone = self.planned(name, options, model, data, tmp_path / "one")
        shutil.copytree(tmp_path / "one", tmp_path / "two")
        together = LAUNCHERS.load("torchrun").launch(Run.open(tmp_path / "two").plan, ranks=self.ranks)
        for mine, theirs in zip(together.metrics(), train(alone).metrics(), strict=True):
            for figure in ("loss", "grad_norm", "validation_loss"):
                assert mine.get(figure, 0.0) == pytest.approx(theirs.get(figure, 0.0), rel=1e-5, abs=1e-5)


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    """Return what a run trained: its adapter, or all weights."""
    folder = run.adapter or run.weights
    assert folder is not None
    tensors: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors |= load_file(path)
    return tensors
