"""Bits per byte of the right answers: how surprised a model is by them, whatever its tokens are."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.figures import AnsweredSet, Figure

__all__ = ["FIGURE", "bits_per_byte"]


def bits_per_byte(logprobs: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> float:
    """Return −Σ log₂ p ÷ UTF-8 bytes: comparable between models with different vocabularies."""
    size = max(1, sum(len(text.encode("utf-8")) for text in texts))  # right answers may all be empty
    return -math.fsum(float(part.sum(dtype=np.float64)) for part in logprobs) / math.log(2) / size


def _value(answered: AnsweredSet) -> float:
    assert answered.logprobs is not None
    return bits_per_byte(answered.logprobs, answered.texts)


FIGURE = Figure(
    title="bits per byte of the right answers", value=_value, answers=("text", "labels"), needs=("logprobs",)
)
