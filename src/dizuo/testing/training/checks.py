"""What every check of the doctor must do, as tests that anybody's check runs through."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch

from dizuo import models
from dizuo.data import Dataset
from dizuo.models import Model
from dizuo.testing.training.samples import Rows, tiny_model
from dizuo.training import TrainOptions
from dizuo.training.doctor import Finding, examine
from dizuo.training.doctor.checks import CHECKS, Check

__all__ = ["CheckSuite", "Sick"]


@dataclass(frozen=True, slots=True)
class Sick:
    """A model and data with a planted mistake."""

    model: Model
    data: Dataset
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of `TrainOptions`, such as `{"method": "mine"}`."""


class CheckSuite:
    """Subclass it with the fixtures `name` and `sick`.

        class TestMine(CheckSuite):
            @pytest.fixture
            def name(self): return "mine"

            @pytest.fixture
            def sick(self, tmp_path, data): return Sick(models.load(…), data)

    The check is found as the doctor finds it, so its package must be installed.
    """

    @pytest.fixture
    def name(self) -> str:
        """The check's name."""
        raise NotImplementedError("a subclass says which check it tests")

    @pytest.fixture
    def sick(self) -> Sick:
        """What the check must be red on."""
        raise NotImplementedError("a check that was never red says nothing: plant the mistake that it looks for")

    # ---- made of these

    @pytest.fixture
    def check(self, name: str) -> Check:
        return CHECKS.load(name)

    @pytest.fixture
    def model(self, tmp_path_factory: pytest.TempPathFactory) -> Model:
        """A random Llama of two layers, in which nothing is wrong."""
        return models.load(models.inspect(tiny_model(tmp_path_factory)))

    @pytest.fixture
    def data(self, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
        """Forty training rows and nine validation rows, in which nothing is wrong."""
        return Rows().write(tmp_path_factory.mktemp("data"))

    # ---- tests

    def test_it_keeps_the_contract(self, check: Check, name: str) -> None:
        """CHECK itself is checked where it is loaded."""
        assert check.name == name
        assert check.title == check.title.strip()
        assert check.title
        assert check.trap > 0
        assert sys.modules[check.check.__module__].__doc__, "a check begins with what holds when it is green"

    def test_it_is_not_red_where_nothing_is_wrong_and_leaves_the_model_as_it_was(
        self, name: str, model: Model, data: Dataset
    ) -> None:
        before = {key: tensor.clone() for key, tensor in model.module.state_dict().items()}
        finding = looked(name, model, data)
        assert finding.state in ("green", "skipped"), finding
        assert finding.measured, "what was looked at, or why it was not"
        after = model.module.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert not any(parameter.requires_grad for parameter in model.module.parameters())

    def test_it_is_red_on_a_planted_mistake(self, name: str, sick: Sick) -> None:
        finding = looked(name, sick.model, sick.data, **sick.options)
        assert finding.state == "red", finding
        assert not finding.measured.startswith(("failed: ", "stopped: ")), "it says itself what it found"
        assert finding.meaning
        assert finding.hint


def looked(name: str, model: Model, data: Dataset, **options: Any) -> Finding:
    """Return one check's finding."""
    made = TrainOptions(**{"dtype": "float32", "threads": 1, **options})
    return examine(model, data, options=made, only=[name])[name]
