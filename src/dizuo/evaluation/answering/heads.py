"""What a model with a trained head answers: one pass per item, as scored and as served.

Nothing is generated and no label is read by the model, so an item costs its own tokens once. `tuned, as scored` runs
the items as token trees; `tuned, as served` asks the engine that the gateway asks, one item at a time.

Temperature: Guo et al. 2017 (arXiv:1706.04599), section 4.2, fitted on the validation rows. It changes no answer; the
report says what it is and what the calibration error would be with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import Rendered
from dizuo.data.rendering.last_token import Form, render_conversation, render_for
from dizuo.data.rendering.prompts import SEPARATOR
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.figures.calibration import calibration_error
from dizuo.evaluation.setting import Setting, items_of
from dizuo.events import Finished, Started
from dizuo.models.heads import Head
from dizuo.records import Message, Preference
from dizuo.trees import Runner, Sequences, last_states

if TYPE_CHECKING:
    from dizuo.data import Task

__all__ = [
    "Outputs",
    "answer_with_head",
    "fit_temperature",
    "read_texts",
    "render_item",
    "render_pair",
    "run_head",
    "serve_head",
]

VALIDATION_ROWS = 2_000
"""Rows that a temperature is fitted on at most."""
ROWS = 256
"""Items that are rendered and run together before the next progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a head said."""

    values: NDArray[np.float32]
    """[n, K]; zeros where a question is too long."""
    too_long: NDArray[np.bool_]
    """[n]"""
    seconds: float


def answer_with_head(setting: Setting, head: Head, labels: Sequence[str]) -> tuple[Answers, Answers]:
    """Return the tuned model's answers as scored and as served.

    Args:
        setting: with a tuned model.
        head: `classification` or `multi_label`.
        labels: in the order of the report.

    Raises:
        EvaluationError: the head was trained on other labels.
    """
    own = head.facts.labels
    if set(own) != set(labels):
        missing = sorted(set(labels) ^ set(own))
        raise EvaluationError(
            f"the head was trained on {len(own)} labels, and the data has {len(labels)} others",
            details=[f"only on one side: {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}"],
            hint="evaluate on the data set that it was trained on",
        )
    order = [own.index(label) for label in labels]
    texts = [item.text for item in setting.items]
    with models.open_runner(setting, tuned=True) as (runner, tokenizer):
        scored = read_texts(setting, runner, tokenizer, head, texts, work="tuned, as scored")
        answers = _answers(setting, head, scored, labels, order)
        if head.facts.kind == "classification":
            answers.metrics.update(_temperature(setting, runner, tokenizer, head, scored))
    count = min(setting.options.served_items or len(texts), len(texts))
    served = _serve_texts(setting, head, texts[:count])
    again = _answers(setting, head, served, labels, order)
    again.metrics["largest difference from as scored"] = float(np.abs(served.values - scored.values[:count]).max())
    return answers, again


def read_texts(
    setting: Setting, runner: Runner, tokenizer: Tokenizer, head: Head, texts: Sequence[str], *, work: str
) -> Outputs:
    """Return the head's outputs for texts; those that are too long for the model are not run."""
    sequences = [render_item(tokenizer, text, setting.task, head) for text in texts]
    return run_head(setting, runner, head, sequences, work=work)


def run_head(setting: Setting, runner: Runner, head: Head, sequences: Sequence[Rendered], *, work: str) -> Outputs:
    """Return the head's outputs for token sequences."""
    began = time.perf_counter()
    setting.watch(Started(work, len(sequences), "sequences"))
    too_long = np.array([len(sequence.ids) > setting.spec.context_length for sequence in sequences], bool)
    values = np.zeros((len(sequences), len(head.weight)), np.float32)
    fitting = [row for row in range(len(sequences)) if not too_long[row]]
    for start in range(0, len(fitting), ROWS):
        # Neighbours in this order share the longest prefixes; the order of the answers is that of the items.
        rows = sorted(fitting[start : start + ROWS], key=lambda row: sequences[row].ids.tolist())
        batch = Sequences(tuple(sequences[row].ids for row in rows), tuple(sequences[row].weights for row in rows))
        states = last_states(runner, batch, max_tokens=setting.options.tokens_per_block)
        values[rows] = head.outputs(states)
    if not np.isfinite(values).all():
        raise EvaluationError("the head gives outputs that are not finite", hint="check its weights: dizuo doctor")
    seconds = time.perf_counter() - began
    setting.watch(Finished(work, seconds, f"{len(sequences):,} sequences"))
    return Outputs(values, too_long, seconds)


def serve_head(setting: Setting, head: Head, sequences: Sequence[Rendered], *, work: str) -> Outputs:
    """Return the head's outputs as the gateway computes them: the engine's states, one request after the other."""
    from dizuo.engines import ScoreRequest, read_states

    with models.open_speaker(setting, tuned=True) as speaker:
        began = time.perf_counter()
        setting.watch(Started(work, len(sequences), "sequences"))
        too_long = np.array([len(sequence.ids) > speaker.engine.context_length for sequence in sequences], bool)
        values = np.zeros((len(sequences), len(head.weight)), np.float32)
        for row in (row for row in range(len(sequences)) if not too_long[row]):
            request = ScoreRequest(sequences[row].ids, sequences[row].weights, speaker.adapter)
            values[row] = head.outputs(read_states(speaker.engine, [request]))[0]
        seconds = time.perf_counter() - began
        setting.watch(Finished(work, seconds, f"{len(sequences):,} sequences"))
    return Outputs(values, too_long, seconds)


def render_item(tokenizer: Tokenizer, text: str, task: Task | None, head: Head) -> Rendered:
    """Return the question about one text as the head was trained to read it."""
    return render_for(head.facts, tokenizer, text, task)


def render_pair(tokenizer: Tokenizer, pair: Preference, answer: Sequence[Message], head: Head) -> Rendered:
    """Return a pair's prompt with one of its answers as the head was trained to read it."""
    form: Form = "text" if head.facts.form == "text" else "chat"
    return render_conversation(tokenizer, pair.prompt, answer, form=form, tools=pair.tools)


def _serve_texts(setting: Setting, head: Head, texts: Sequence[str]) -> Outputs:
    from dizuo.models import load_tokenizer

    tokenizer = load_tokenizer(setting.spec)
    sequences = [render_item(tokenizer, text, setting.task, head) for text in texts]
    return serve_head(setting, head, sequences, work="tuned, as served")


def _answers(setting: Setting, head: Head, outputs: Outputs, labels: Sequence[str], order: Sequence[int]) -> Answers:
    probabilities = head.probabilities(outputs.values)[:, order]
    if head.facts.kind == "multi_label":
        texts = [SEPARATOR.join(label for label, p in zip(labels, row) if p > 0.5) for row in probabilities]
    else:
        probabilities[outputs.too_long] = 1 / len(labels)
        texts = [labels[best] for best in probabilities.argmax(axis=1)]
    texts = ["" if long else text for text, long in zip(texts, outputs.too_long)]
    note = ""
    if outputs.too_long.any():
        note = (
            f"{int(outputs.too_long.sum()):,} of {len(texts):,} questions are more than the "
            f"{setting.spec.context_length:,} tokens that the model reads and count as wrong"
        )
    return Answers(
        texts=texts,
        probabilities=None if head.facts.kind == "multi_label" else probabilities,
        seconds_train=setting.training_seconds(),
        ms_per_item=1000 * outputs.seconds / max(1, len(texts)),
        mb_on_disk=setting.megabytes(tuned=True),
        note=note,
    )


def _temperature(
    setting: Setting, runner: Runner, tokenizer: Tokenizer, head: Head, scored: Outputs
) -> dict[str, float]:
    """Return the temperature that fits the validation rows best, and the calibration error with it."""
    rows = (
        items_of(setting.data.validation, setting.task, limit=VALIDATION_ROWS) if len(setting.data.validation) else []
    )
    rows = [row for row in rows if row.answer in head.facts.labels]
    if len(rows) < 10:
        return {}
    held = read_texts(setting, runner, tokenizer, head, [row.text for row in rows], work="calibrate")
    keep = np.flatnonzero(~held.too_long)
    truth = np.array([head.facts.labels.index(rows[i].answer) for i in keep])
    best = fit_temperature(held.values[keep], truth)
    shares = head.probabilities((scored.values / best).astype(np.float32))
    right = [float(_label(head, row) in item.references) for row, item in zip(shares, setting.items)]
    error = calibration_error(shares.max(axis=1), right)
    return {"temperature that validation rows ask for": best, "calibration error with it": error}


def fit_temperature(values: NDArray[np.float32], truth: NDArray[np.int64]) -> float:
    """Return the temperature, 0.05 to 20, with the least negative log-likelihood, by golden-section search.

    Args:
        values: [n, K] outputs.
        truth: [n] the right label's number.
    """
    scores = values.astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = scores / math.exp(log_temperature)
        top = scaled.max(axis=1)
        logs = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float((logs - scaled[np.arange(len(truth)), truth]).mean())

    return math.exp(_minimum(loss, math.log(0.05), math.log(20.0)))


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one minimum is least, within 1e-4."""
    ratio = (math.sqrt(5) - 1) / 2
    while high - low > 1e-4:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if function(left) < function(right):
            high = right
        else:
            low = left
    return (low + high) / 2


def _label(head: Head, row: NDArray[np.float64]) -> str:
    return head.facts.labels[int(row.argmax())]
