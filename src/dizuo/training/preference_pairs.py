"""What methods of preference pairs share: two answers behind one prompt, and what each is worth to the model.

Sums over tokens are taken in float64: a hundred log-probabilities add up to some −300 nats, of which float32 keeps
four decimals, while losses multiply differences of such sums.

Shapes: W weighted tokens of N sequences, M = N / 2 pairs.
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

    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs

__all__ = [
    "LEVEL", "Pairs", "count_ahead", "figures_of", "log_ratios", "pair_up", "render_pair", "sum_logprobs",
    "sum_weights",
]  # fmt: skip


LEVEL = 1e-3
"""Nats. Two rewards that differ by less are level: below it float32's rounding alone decides."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """A number for each answer of the block's pairs."""

    chosen: Tensor
    """[M]"""
    rejected: Tensor
    """[M]"""

    @property
    def difference(self) -> Tensor:
        """[M] chosen − rejected."""
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


def sum_logprobs(outputs: Outputs) -> Tensor:
    """Return Σ weight × log p of each sequence: [N] nats, float64."""
    weighted_W = outputs.logprobs.double() * outputs.weights.double()
    return weighted_W.new_zeros(outputs.num_sequences).index_add(0, outputs.sequence, weighted_W)


def sum_weights(outputs: Outputs) -> Tensor:
    """Return Σ weight of each sequence: [N] float64, as a rule the number of its trained tokens."""
    weights_W = outputs.weights.double()
    return weights_W.new_zeros(outputs.num_sequences).index_add(0, outputs.sequence, weights_W)


def log_ratios(outputs: Outputs, batch: Batch) -> Tensor:
    """Return log π(y|x) − log π_ref(y|x) of each sequence: [N] nats, float64. π_ref is the model before training."""
    import torch

    assert batch.reference is not None
    logprobs_N = sum_logprobs(outputs)
    return logprobs_N - torch.from_numpy(batch.reference).to(logprobs_N)


def pair_up(values_N: Tensor, batch: Batch) -> Pairs:
    """Return numbers of sequences as numbers of pairs."""
    assert batch.member.tolist() == [0, 1] * (len(batch.member) // 2), "chosen and rejected stand together"
    return Pairs(values_N[0::2], values_N[1::2])


def figures_of(rewards: Pairs, *, level: float = 0.0) -> Mapping[str, Tensor]:
    """Return the figures of pairs with these rewards, summed over the block.

    `accuracy` counts the pairs whose chosen answer has the higher reward, and half of those that are level; `margin` is
    the reward of the chosen answer minus that of the other.

    Args:
        rewards: of the block's pairs.
        level: rewards that differ by no more are level. Before the first step all are, up to rounding, where a reward
            is what was gained since then.
    """
    margin_M = rewards.difference.detach()
    return {
        "accuracy": count_ahead(margin_M, level=level),
        "margin": margin_M.sum(),
        "chosen_reward": rewards.chosen.detach().sum(),
        "rejected_reward": rewards.rejected.detach().sum(),
    }


def count_ahead(margin_M: Tensor, *, level: float) -> Tensor:
    """Return how many margins are above `level`, and half of how many are neither above it nor below its negative."""
    return (margin_M > level).sum() + 0.5 * (margin_M.abs() <= level).sum()
