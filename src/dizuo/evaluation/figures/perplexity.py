"""Perplexity and bits per byte of texts: how surprised a model is, weighted by tokens over the whole set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["TITLE", "bits_per_byte", "value"]

TITLE = "perplexity"


def value(logprobs: Sequence[NDArray[np.float32]]) -> float:
    """Return exp(−Σ log p ÷ number of tokens) over all tokens of all sequences; never a mean of means."""
    tokens = sum(len(part) for part in logprobs)
    return math.exp(-_total(logprobs) / tokens)


def bits_per_byte(logprobs: Sequence[NDArray[np.float32]], texts: Sequence[str]) -> float:
    """Return −Σ log₂ p ÷ UTF-8 bytes: comparable between models with different vocabularies."""
    size = sum(len(text.encode("utf-8")) for text in texts)
    return -_total(logprobs) / math.log(2) / size


def _total(logprobs: Sequence[NDArray[np.float32]]) -> float:
    return math.fsum(float(part.sum(dtype=np.float64)) for part in logprobs)
