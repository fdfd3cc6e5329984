"""Preference pairs, as methods that train them need them: two answers behind one prompt, and what each is worth.

Sums over tokens are taken in float64: a hundred log-probabilities add up to some −300 nats, of which float32 keeps
four decimals, while losses multiply differences of such sums.

Shapes: n sequences, m = n / 2 pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dizuo.errors import DataError
from dizuo.training.method import Batch

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase as Tokenizer

    from dizuo.data.rendering.conversations import Rendered
    from dizuo.records import Example
    from dizuo.trees import Outputs

__all__ = ["LEVEL", "Pairs", "ahead", "counts", "log_ratios", "pairs_of", "render_pair", "sums", "watched"]


LEVEL = 1e-3
"""Nats. What a sequence gained since before training is level below it: there float32's rounding alone decides."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A number for each answer of the block's pairs."""

    chosen: Tensor
    """[m]"""
    rejected: Tensor
    """[m]"""

    @property
    def difference(self) -> Tensor:
        """[m] chosen − rejected."""
        return self.chosen - self.rejected


def render_pair(example: Example, tokenizer: Tokenizer) -> Sequence[Rendered]:
    """Return the chosen and the rejected answer behind their prompt; only the answers' assistant turns are trained.

    Raises:
        DataError: both are the same tokens, or the template cannot write one of them.
    """
    from dizuo.data.rendering.conversations import render_answer
    from dizuo.records import Preference

    assert isinstance(example, Preference)
    pair = [
        render_answer(tokenizer, example.prompt, answer, tools=example.tools)
        for answer in (example.chosen, example.rejected)
    ]
    if np.array_equal(pair[0].ids, pair[1].ids):
        raise DataError("chosen and rejected are the same tokens to this model", hint="remove the row")
    return pair


def sums(outputs: Outputs) -> Tensor:
    """[n] Σ weight × log p of each sequence, in nats, float64."""
    values = outputs.logprobs.double() * outputs.weights.double()
    return values.new_zeros(outputs.num_sequences).index_add(0, outputs.sequence, values)


def counts(outputs: Outputs) -> Tensor:
    """[n] Σ weight of each sequence, float64: the number of its trained tokens, as a rule."""
    values = outputs.weights.double()
    return values.new_zeros(outputs.num_sequences).index_add(0, outputs.sequence, values)


def log_ratios(outputs: Outputs, batch: Batch) -> Tensor:
    """[n] log π(y|x) − log π_ref(y|x) of each sequence, in nats, float64; π_ref is the model before training."""
    import torch

    assert batch.reference is not None
    now = sums(outputs)
    return now - torch.from_numpy(batch.reference).to(now)


def pairs_of(values: Tensor, batch: Batch) -> Pairs:
    """Return [n] numbers of sequences as those of pairs."""
    assert batch.member.tolist() == [0, 1] * (len(batch.member) // 2), "chosen and rejected stand together"
    return Pairs(values[0::2], values[1::2])


def watched(rewards: Pairs, *, level: float = 0.0) -> Mapping[str, Tensor]:
    """Return the figures of pairs with these rewards, summed over the block.

    `accuracy` counts the pairs whose chosen answer has the higher reward, and half of those that are level; `margin` is
    the reward of the chosen answer minus that of the other.

    Args:
        rewards: of the block's pairs.
        level: rewards that differ by no more are level: all are before the first step, up to rounding, where a
            reward is what was gained since then.
    """
    margin = rewards.difference.detach()
    return {
        "accuracy": ahead(margin, level=level),
        "margin": margin.sum(),
        "chosen_reward": rewards.chosen.detach().sum(),
        "rejected_reward": rewards.rejected.detach().sum(),
    }


def ahead(margin: Tensor, *, level: float) -> Tensor:
    """[] how many margins are above `level`, and half of how many are neither above it nor below its negative."""
    return (margin > level).sum() + 0.5 * (margin.abs() <= level).sum()
