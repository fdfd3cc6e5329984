"""Perplexity of the right answers: how surprised a model is by them, weighted by tokens over the whole set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.figures import AnsweredSet, Figure

__all__ = ["FIGURE", "perplexity"]


def perplexity(logprobs: Sequence[NDArray[np.float32]]) -> float:
    """Return exp(−Σ log p ÷ number of tokens) over all tokens of all sequences; never a mean of means."""
    tokens = sum(len(part) for part in logprobs)
    return math.exp(-math.fsum(float(part.sum(dtype=np.float64)) for part in logprobs) / tokens)


def _value(answered: AnsweredSet) -> float:
    assert answered.logprobs is not None
    return perplexity(answered.logprobs)


FIGURE = Figure(title="perplexity of the right answers", value=_value, answers=("text", "labels"), needs=("logprobs",))
