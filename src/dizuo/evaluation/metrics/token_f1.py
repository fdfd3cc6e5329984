"""Overlap of words with the nearest reference: the F1 of SQuAD (Rajpurkar et al., 2016), for any script.

Words are runs of letters and digits; a character of a script without spaces (CJK) is a word of its own. English
articles are kept, unlike in SQuAD's script: there is no list of them for every language.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric
from dizuo.evaluation.normalising import words

__all__ = ["METRIC", "token_f1"]


def token_f1(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] the best F1 of each answer over its references, 0 to 1."""
    return np.array([max(_f1(answer, text) for text in right) for answer, right in zip(answers, references)])


def _f1(answer: str, reference: str) -> float:
    said, wanted = words(answer), words(reference)
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    return 2 * shared / (len(said) + len(wanted))


METRIC = Metric(title="token F1", items=token_f1, answers=("text",))
