"""Metrics say what one answer is worth, from 0 to 1; one file each. A report's score is the mean over all items.

    accuracy       the answer is the expected label
    exact_match    the answer is a reference, up to white space, letter case and Unicode form
    number         the answer ends on the reference's number
    token_f1       the answer shares words with a reference
    rouge_l        the same, in the same order
    chrf           the answer shares runs of characters with a reference
    pairs          the better of two answers was preferred

A metric is a file that ends in one value:

    from dizuo.evaluation.metrics import Metric

    def bleu(answers, references):            # [n] texts, and [n] lists of right answers -> [n] numbers from 0 to 1
        return np.array([max(bleu_of(answer, one) for one in right) for answer, right in zip(answers, references)])

    METRIC = Metric(title="BLEU", items=bleu, answers=("text",))

`evaluate.metric: bleu` in a recipe chooses it. A package of yours offers one through the entry-point group
`dizuo.evaluation.metrics`, and `dizuo.testing.MetricSuite` tests it.

Every item counts: an answer that cannot be read is worth 0. A score that a single item does not have, such as macro F1,
is a figure (`dizuo.evaluation.figures`). How well a search finds documents is judged in `dizuo.vectors.knowledge`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import EvaluationError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["METRICS", "Metric"]


@dataclass(frozen=True, slots=True)
class Metric:
    """What one answer is worth."""

    title: str
    """What people read, such as `ROUGE-L`."""
    items: Callable[[Sequence[str], Sequence[Sequence[str]]], NDArray[np.float64]]
    """(answers, references of each) -> [n] what each answer is worth, 0 to 1; the best reference counts."""
    answers: tuple[str, ...] = ("text",)
    """What kinds of answers it can score: see `TaskKind.answers`."""
    binary: bool = False
    """Whether an answer is right (1) or wrong (0) and nothing between."""
    name: str = ""
    """Filled in by `METRICS.load`."""

    def __post_init__(self) -> None:
        check_fields(self)


METRICS = Kind("metric", "dizuo.evaluation.metrics", "METRIC", Metric, error=EvaluationError)
