"""The rows of a regression: the training rows' mean, a cheap model, and the tuned one as scored and as served.

The score is R² = 1 − Σ (y − ŷ)² / Σ (y − mean)², the mean being that of the training rows: 0 for who always says the
mean, 1 for who is always right, below 0 for who does worse than the mean. An item's value is 1 − its squared error over
the mean squared error of the mean, so that the score is the mean of the items' values and rows are compared item by
item. Beside it stand MAE, RMSE and Spearman's rank correlation, each with its bootstrap interval.

The untuned model's row is the mean: a head that begins at zero says just that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.kinds.classification import baseline
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Setting
from dizuo.models.heads import Head

__all__ = ["TITLE", "entries", "spearman"]

TITLE = "R²"
CHEAP = ("tfidf_ridge",)
RESAMPLES = 1000
Floats = NDArray[np.float64]


def entries(setting: Setting, head: Head, absent: dict[str, str]) -> list[Entry]:
    """Return every row's predictions; what cannot be made here goes to `absent` with its reason.

    Raises:
        EvaluationError: a row's label is no number, or all are the same.
    """
    truth = _numbers([item.answer for item in setting.items])
    training = _numbers([item.answer for item in setting.train]) if setting.train else np.array([head.facts.mean])
    mean = float(training.mean())
    scale = float(((truth - mean) ** 2).mean())
    if not scale > 0:
        raise EvaluationError(
            "every scored row has the number that the training rows have on average", hint="check label_column"
        )

    def entry(name: str, title: str, family: str, answers: Answers, predicted: Floats) -> Entry:
        rows = truth[: len(predicted)]
        answers.metrics.update(_figures(rows, predicted, setting.options))
        return Entry(name, title, family, answers, 1 - (rows - predicted) ** 2 / scale)

    found = []
    texts = [item.text for item in setting.items]
    for name in CHEAP:
        module = baseline(name)
        try:
            answers = module.fit(setting.training_rows, labels=(), options=setting.options, watch=setting.watch)(texts)
            found.append(entry(name, module.TITLE, "cheap", answers, _numbers(answers.texts)))
        except Absent as reason:
            absent[module.TITLE] = str(reason)
    constant = np.full(len(truth), mean)
    note = "always the mean of the training rows, which is what a new head says"
    found.append(entry("untuned", "untuned", "untuned", Answers([repr(mean)] * len(truth), note=note), constant))
    with models.runner(setting, tuned=True) as (runner, tokenizer):
        sequences = [heads.rendered(tokenizer, text, setting.task, head) for text in texts]
        scored = heads.run(setting, runner, head, sequences, work="tuned, as scored")
    count = min(setting.options.served_items or len(texts), len(texts))
    spoken = heads.served(setting, head, sequences[:count], work="tuned, as served")
    for name, outputs in (("tuned", scored), ("served", spoken)):
        predicted = np.where(outputs.too_long, mean, head.numbers(outputs.values))
        lost = int(outputs.too_long.sum())
        answers = Answers(
            texts=[repr(float(value)) for value in predicted],
            seconds_train=setting.training_seconds(),
            ms_per_item=1000 * outputs.seconds / max(1, len(predicted)),
            mb_on_disk=setting.megabytes(tuned=True),
            note=f"{lost:,} of {len(predicted):,} questions are too long for the model and get the mean"
            if lost
            else "",
        )
        found.append(entry(name, f"tuned, as {'scored' if name == 'tuned' else 'served'}", "tuned", answers, predicted))
    return found


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


def _figures(truth: Floats, predicted: Floats, options: EvaluateOptions) -> dict[str, float]:
    """Return MAE, RMSE and Spearman with percentile bootstrap intervals over the items."""
    kinds = {
        "MAE": lambda y, p: float(np.abs(y - p).mean()),
        "RMSE": lambda y, p: float(np.sqrt(((y - p) ** 2).mean())),
        "Spearman": spearman,
    }
    random = np.random.default_rng([options.seed, 0x5EA2])
    draws = [random.integers(0, len(truth), len(truth)) for _ in range(RESAMPLES)]
    tail = 100 * (1 - options.confidence) / 2
    figures = {}
    for name, kind in kinds.items():
        drawn = [kind(truth[rows], predicted[rows]) for rows in draws]
        figures[name] = kind(truth, predicted)
        figures[f"{name}, low"], figures[f"{name}, high"] = map(float, np.percentile(drawn, [tail, 100 - tail]))
    return figures


def _numbers(texts: Sequence[str]) -> Floats:
    out = np.empty(len(texts))
    for place, text in enumerate(texts):
        try:
            out[place] = float(text)
        except ValueError:
            raise EvaluationError(f"the label {text!r} is not a number", hint="check label_column") from None
    return out
