"""Always the most frequent training label: what a score means nothing without."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import Baseline, CheapModel
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore

__all__ = ["BASELINE", "fit"]


def fit(
    rows: Sequence[tuple[str, str]], *, labels: Sequence[str], options: EvaluateOptions, watch: Watcher = ignore
) -> Callable[[Sequence[str]], Answers]:
    """Return a function that answers every text with the most frequent label (the first of equally frequent ones).

    Raises:
        Absent: there are no training rows.
    """
    if not rows:
        raise Absent("there are no training rows")
    began = time.perf_counter()
    counts = Counter(answer for _, answer in rows)
    best = min(counts, key=lambda label: (-counts[label], label))
    # Laplace's rule, so that a label without training rows is unlikely rather than impossible.
    shares = np.array([counts[label] + 1.0 for label in labels])
    shares /= shares.sum()
    seconds = time.perf_counter() - began

    def answer(texts: Sequence[str]) -> Answers:
        return Answers(
            texts=[best] * len(texts),
            probabilities=np.tile(shares, (len(texts), 1)),
            seconds_train=seconds,
            ms_per_item=0.0,
            note=f"always {best!r}",
        )

    return answer


BASELINE = Baseline(title="majority label", answers=("label",), how=CheapModel(fit))
