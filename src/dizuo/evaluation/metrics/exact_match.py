"""The share of answers that equal a reference up to white space, letter case and Unicode form.

An answer with calls is right when it makes the calls of a reference: see `evaluation/calls.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.calls import same_answer
from dizuo.evaluation.metrics import Metric
from dizuo.evaluation.normalising import normalised

__all__ = ["METRIC", "exact_match"]


def exact_match(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] 1 where the normalised answer is one of the normalised references, else 0; calls must be the same."""
    return np.array([float(_is_one_of(answer, right)) for answer, right in zip(answers, references)])


def _is_one_of(answer: str, right: Sequence[str]) -> bool:
    said = normalised(answer)
    for reference in right:
        same = same_answer(answer, reference)
        if same or (same is None and said == normalised(reference)):
            return True
    return False


METRIC = Metric(title="exact match", items=exact_match, answers=("text", "labels"), binary=True)
