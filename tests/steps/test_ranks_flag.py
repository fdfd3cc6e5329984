"""`dizuo train --ranks 2`: the same step, trained by two processes that torchrun starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import dizuo
from dizuo import recipe
from dizuo.cli import dizuo as program
from dizuo.errors import RecipeError

OVERRIDES = (
    "prepare.validation=20",
    "train.eval_every=4",
    "train.checkpoint_every=3",
    "train.samples=1",
    "train.dtype=float32",
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_processes_train_the_step_and_write_its_answers(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    settings = [part for item in OVERRIDES for part in ("--set", item)]
    done = CliRunner().invoke(program, ["train", "tiny.yaml", "--ranks", "2", *settings], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    two = dizuo.training.Run.open(place / "runs" / "tiny" / "3-train")
    assert two.finished is not None
    assert two.finished["facts"]["ranks"] == 2
    one = dizuo.run(recipe.read("tiny.yaml", overrides=(*OVERRIDES, "name=alone"), strict=False), until="train").run
    for mine, theirs in zip(two.metrics(), one.metrics(), strict=True):
        for name in mine.keys() & {"loss", "validation_loss", "learning_rate"}:
            assert mine[name] == pytest.approx(theirs[name], abs=1e-4), name
    assert [(line["step"], line["item"]) for line in two.samples()] == [
        (line["step"], line["item"]) for line in one.samples()
    ]
    assert two.samples()
    # Another number of ranks is no reason to train again.
    again = dizuo.run(recipe.read("tiny.yaml", overrides=OVERRIDES, strict=False), until="train")
    assert [step.ran for step in again.steps] == [False, False, False]


def test_ranks_are_a_number_from_one(place: Path) -> None:
    with pytest.raises(RecipeError, match="ranks must be a number of processes from 1, not 0"):
        dizuo.run(recipe.read("tiny.yaml", overrides=("train.ranks=0",), strict=False), until="train")
