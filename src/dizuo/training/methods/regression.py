"""Regression: a linear head on the last token's state gives a number, which the label column holds.

    mse    loss = Σ (s − z)² / rows                    z = (y − mean) / deviation, both of the training rows
    huber  loss = Σ h(s − z) / rows                    h(d) = d²/2 below δ, else δ (|d| − δ/2)

A prediction is mean + deviation × s. The two numbers are in the plan and in the head's `head.json`. The head begins at
zero, so the first prediction is the mean and the first mse is that of a constant, about 1.

References:
    Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training", section 3.2 (the head).
    Huber 1964, "Robust Estimation of a Location Parameter", section 2.

Left out on purpose: several numbers per row.

Shapes: M rows, one sequence each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from dizuo.errors import DataError, PlanError
from dizuo.models.heads import HeadFacts
from dizuo.training.method import Batch, Loss, Method
from dizuo.training.planning.learning_rates import TUNING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """Options of regression."""

    error: Literal["mse", "huber"] = "mse"
    """`mse` squares every error; `huber` grows linearly beyond `huber_delta`, so that outliers pull less."""
    huber_delta: float = 1.0
    """Where Huber's loss becomes linear, in deviations of the training rows."""
    mean: float | None = None
    """Subtracted from every number. None is the mean of the training rows."""
    deviation: float | None = None
    """Every number is divided by it. None is the standard deviation of the training rows."""
    form: Literal["chat", "text"] = "chat"
    """How a row is rendered: `chat` is the model's chat template with the instruction, `text` the text alone."""
    cue: str = ""
    """The words with which the answer begins; the head reads the state behind them."""

    def __post_init__(self) -> None:
        if not self.huber_delta > 0:
            raise PlanError(f"huber_delta must be above 0, not {self.huber_delta!r}")
        if self.deviation is not None and not self.deviation > 0:
            raise PlanError(f"deviation must be above 0, not {self.deviation!r}")


def check(task: Task | None, options: Options) -> None:
    """Refuse tasks that are no numbers, and an instruction that lists every number as a label.

    Raises:
        PlanError: saying why.
    """
    from dizuo.data.rendering.prompts import default_instruction

    if task is None or task.kind != "classification" or task.multi_label:
        raise PlanError(
            "method regression needs one number per row, in the label column",
            hint="prepare with label_column set to the column of numbers",
        )
    if options.form == "chat" and task.instruction == default_instruction(task.labels):
        raise PlanError(
            "the instruction lists the numbers of the data as labels",
            hint='set prepare.instruction, as in "How similar are the two sentences, from 0 to 5?"',
        )


def resolve(options: Options, task: Task | None, targets: NDArray[np.float32]) -> Options:
    """Return the options with mean and deviation of the training rows' targets [M, 1].

    Raises:
        PlanError: all rows have one number.
    """
    values = targets[:, 0].astype(float)
    mean = float(values.mean()) if options.mean is None else options.mean
    deviation = float(values.std()) if options.deviation is None else options.deviation
    if not deviation > 0:
        raise PlanError(
            f"all {len(values):,} training rows have the number {values[0]:g}, so there is nothing to learn",
            hint="check label_column",
        )
    return replace(options, mean=mean, deviation=deviation)


def num_outputs(task: Task | None, options: Options) -> int:
    """Return 1."""
    return 1


def head(task: Task | None, options: Options) -> HeadFacts:
    """Return what the output means."""
    assert options.mean is not None
    assert options.deviation is not None
    return HeadFacts("regression", mean=options.mean, scale=options.deviation, form=options.form, cue=options.cue)


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the question, up to the cue of the answer."""
    from dizuo.data.rendering.last_token import render_question
    from dizuo.records import Labelled

    assert isinstance(example, Labelled)
    return [render_question(tokenizer, example.text, task, form=options.form, cue=options.cue)]


def targets(example: Example, task: Task | None, options: Options) -> Sequence[float]:
    """Return the row's number.

    Raises:
        DataError: the label is no finite number.
    """
    from dizuo.records import Labelled

    assert isinstance(example, Labelled)
    try:
        (text,) = example.labels
        value = float(text)
    except ValueError:
        raise DataError(f"{', '.join(example.labels)!r} is not a number") from None
    if not math.isfinite(value):
        raise DataError(f"{text!r} is not a finite number")
    return [value]


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block and its rows; `mae` is the mean absolute error in the data's units."""
    import torch
    from torch.nn import functional as F

    assert outputs.scores is not None
    assert options.mean is not None
    assert options.deviation is not None
    scores_M = outputs.scores[:, 0].float()
    exact_M = (torch.from_numpy(batch.targets[:, 0].astype("float64")) - options.mean) / options.deviation
    wanted_M = exact_M.to(scores_M.device, scores_M.dtype)
    if options.error == "mse":
        total = F.mse_loss(scores_M, wanted_M, reduction="sum")
    else:
        total = F.huber_loss(scores_M, wanted_M, reduction="sum", delta=options.huber_delta)
    absolute = (scores_M.detach() - wanted_M).abs().sum() * options.deviation
    return Loss(total, float(len(scores_M)), {"mae": absolute})


METHOD = Method(
    Options=Options,
    kinds=("labelled",),
    sequences=sequences,
    loss=loss,
    rates=TUNING,
    num_outputs=num_outputs,
    head=head,
    targets=targets,
    check=check,
    resolve=resolve,
)
