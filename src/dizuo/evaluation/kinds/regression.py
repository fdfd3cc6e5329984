"""Numbers: the training rows' mean, a cheap model, and the tuned model as scored and as served.

The score is R² = 1 − Σ (y − ŷ)² / Σ (y − mean)², the mean being that of the training rows: 0 for who always says the
mean, 1 for who is always right, below 0 for who does worse than the mean. An item's value is 1 − its squared error over
the mean squared error of the mean, so that the score is the mean of the items' values and rows are compared item by
item. Beside it stand MAE, RMSE and Spearman's rank correlation, each with its bootstrap interval.

The untuned model's row is the mean: a head that begins at zero says just that.

Shapes: n items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.cheap import cheap_answers, choose_baselines
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Setting, items_of

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["KIND", "spearman"]

RESAMPLES = 1000
Floats = NDArray[np.float64]


def _applies(task: Task, head: HeadFacts | None) -> bool:
    return head is not None and head.kind == "regression" and task.kind in ("classification", "generation")


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """The numbers that are right, and the mean that a model has to beat."""

    numbers: Floats
    """[n]"""
    mean: float
    scale: float
    """The mean squared error of always saying the mean."""
    options: EvaluateOptions

    def entry(self, name: str, title: str, family: str, answers: Answers, predicted: Floats) -> Entry:
        """Return predictions, [n] of the first n items, with what each of them is worth."""
        rows = self.numbers[: len(predicted)]
        answers.metrics.update(_errors(rows, predicted, self.options))
        return Entry(name, title, family, answers, 1 - (rows - predicted) ** 2 / self.scale, bounded=False)


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    assert setting.head is not None
    truth = _truth(setting)
    texts = [item.text for item in setting.items]
    entries = []
    baselines = choose_baselines(setting.options.baselines, answers=KIND.answers)
    for baseline, answers in cheap_answers(setting, baselines, absent):
        entries.append(truth.entry(baseline.name, baseline.title, "cheap", answers, _numbers(answers.texts)))
    constant = np.full(len(texts), truth.mean)
    note = "always the mean of the training rows, which is what a new head says"
    answers = Answers([repr(truth.mean)] * len(texts), note=note)
    entries.append(truth.entry("untuned", "untuned", "untuned", answers, constant))
    with models.open_runner(setting, tuned=True) as (runner, tokenizer):
        sequences = [heads.render_item(tokenizer, text, setting.task, setting.head) for text in texts]
        scored = heads.run_head(setting, runner, setting.head, sequences, work="tuned, as scored")
    count = min(setting.options.served_items or len(texts), len(texts))
    served = heads.serve_head(setting, setting.head, sequences[:count], work="tuned, as served")
    for name, title, outputs in (("tuned", "tuned, as scored", scored), ("served", "tuned, as served", served)):
        predicted = np.where(outputs.too_long, truth.mean, setting.head.numbers(outputs.values))
        lost, total = int(outputs.too_long.sum()), len(predicted)
        answers = Answers(
            texts=[repr(float(value)) for value in predicted],
            seconds_train=setting.training_seconds(),
            ms_per_item=1000 * outputs.seconds / max(1, total),
            mb_on_disk=setting.megabytes(tuned=True),
            note=f"{lost:,} of {total:,} questions are too long for the model and get the mean" if lost else "",
        )
        entries.append(truth.entry(name, title, "tuned", answers, predicted))
    return entries


def _truth(setting: Setting) -> _Truth:
    """Return the numbers to predict.

    Raises:
        EvaluationError: a row's label is no number, or all are the mean of the training rows.
    """
    assert setting.head is not None
    numbers = _numbers([item.answer for item in setting.items])
    training = _numbers([item.answer for item in setting.train]) if setting.train else [setting.head.facts.mean]
    mean = float(np.asarray(training).mean())
    scale = float(((numbers - mean) ** 2).mean())
    if not scale > 0:
        raise EvaluationError(
            "every scored row has the number that the training rows have on average", hint="check label_column"
        )
    return _Truth(numbers, mean, scale, setting.options)


def spearman(a: Floats, b: Floats) -> float:
    """Return Spearman's rank correlation, −1 to 1; ties share their mean rank; 0 where one side is constant."""
    ranks_a, ranks_b = _ranks(a), _ranks(b)
    spread = float(ranks_a.std() * ranks_b.std())
    if not spread > 0:
        return 0.0
    return float(((ranks_a - ranks_a.mean()) * (ranks_b - ranks_b.mean())).mean() / spread)


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: Floats = (last - counts + 1 + last) / 2
    return mean_rank[inverse]


def _errors(truth: Floats, predicted: Floats, options: EvaluateOptions) -> dict[str, float]:
    """Return MAE, RMSE and Spearman with percentile bootstrap intervals over the items."""
    functions = {
        "MAE": lambda y, p: float(np.abs(y - p).mean()),
        "RMSE": lambda y, p: float(np.sqrt(((y - p) ** 2).mean())),
        "Spearman": spearman,
    }
    random = np.random.default_rng([options.seed, 0x5EA2])
    draws = [random.integers(0, len(truth), len(truth)) for _ in range(RESAMPLES)]
    tail = 100 * (1 - options.confidence) / 2
    errors = {}
    for name, function in functions.items():
        drawn = [function(truth[rows], predicted[rows]) for rows in draws]
        errors[name] = function(truth, predicted)
        errors[f"{name}, low"], errors[f"{name}, high"] = map(float, np.percentile(drawn, [tail, 100 - tail]))
    return errors


def _numbers(texts: Sequence[str]) -> Floats:
    """Return texts as numbers.

    Raises:
        EvaluationError: one of them is none.
    """
    numbers = np.empty(len(texts))
    for index, text in enumerate(texts):
        try:
            numbers[index] = float(text)
        except ValueError:
            raise EvaluationError(f"the label {text!r} is not a number", hint="check label_column") from None
    return numbers


KIND = TaskKind(
    title="regression",
    answers="number",
    applies=_applies,
    items=items_of,
    entries=_entries,
    own_score="R²",
    reported="regression",
)
