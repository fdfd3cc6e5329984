"""Sequences as a person reads them: their text, cut where what is trained begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from dizuo.training.tokens.token_store import TokenStore

if TYPE_CHECKING:
    from dizuo.data.rendering.tokenizer import Tokenizer

__all__ = ["TrainedText", "read_text"]


@dataclass(frozen=True, slots=True)
class TrainedText:
    """A piece of a sequence whose tokens have one weight."""

    text: str
    """As the model reads it, special tokens included."""
    weight: float
    """How much each of its tokens counts in the loss; 0 is context."""


def read_text(store: TokenStore, tokenizer: Tokenizer, example: int) -> tuple[Sequence[TrainedText], ...]:
    """Return the sequences of an example, each as pieces from its first token to its last.

    Args:
        store: what is trained.
        tokenizer: the model's.
        example: its number in the store.
    """
    return tuple(
        tuple(_pieces(np.asarray(store.ids(number)), np.asarray(store.weights(number)), tokenizer))
        for number in store.sequences_of(example)
    )


def _pieces(ids: np.ndarray, weights: np.ndarray, tokenizer: Tokenizer) -> list[TrainedText]:
    cuts = [0, *(np.flatnonzero(np.diff(weights)) + 1).tolist(), len(ids)]
    return [
        TrainedText(tokenizer.decode([int(token) for token in ids[start:stop]]), float(weights[start]))
        for start, stop in pairwise(cuts)
        if stop > start
    ]
