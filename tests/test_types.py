"""What a type checker says: a misspelt name fails before anything runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

PLAN = """
from dizuo.training import Plan

def rate(plan: Plan) -> float:
    return plan.use.learning_rate

def reason(plan: Plan) -> str:
    return plan.why["learning_rate"].why
"""

METHOD = """
from collections.abc import Sequence
from dataclasses import dataclass

from dizuo.training.method import Batch, Loss, Method
from dizuo.training.methods import sft
from dizuo.trees import Outputs

def loss(outputs: Outputs, batch: Batch, options: sft.Options) -> Loss:
    return Loss(-(outputs.weights * outputs.logprobs).sum(), batch.sequences.total_weight)

METHOD = Method(
    Options=sft.Options, kinds=("chat",), sequences=sft.sequences, loss=loss, needs_reference=True
)
"""


def checked(text: str, folder: Path) -> str:
    """Return what mypy says of a file that uses dizuo, with the project's own settings."""
    path = folder / "checked.py"
    path.write_text(text, "utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "right", "wrong", "message"),
    [
        (PLAN, "use.learning_rate", "use.learnin_rate", '"Settings" has no attribute "learnin_rate"'),
        (METHOD, "needs_reference", "need_reference", 'Unexpected keyword argument "need_reference" for "Method"'),
    ],
    ids=["a value of a plan", "a field of a method"],
)
def test_a_misspelt_name_does_not_pass_the_type_checker(
    text: str, right: str, wrong: str, message: str, tmp_path: Path
) -> None:
    assert "Success" in checked(text, tmp_path)
    assert right in text
    said = checked(text.replace(right, wrong), tmp_path)
    assert message in said
    assert "Success" not in said
