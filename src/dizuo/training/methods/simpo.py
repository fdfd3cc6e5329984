"""Simple preference optimisation: the better answer's mean log-probability above the worse one's, by a margin.

    loss = −(1−ε) log σ(d) − ε log σ(−d),    d = β/|y_w| log π(y_w|x) − β/|y_l| log π(y_l|x) − γ

No model before training is consulted. The loss is the mean over the pairs of the optimizer step.

References:
    Meng et al. 2024, "SimPO: Simple Preference Optimization with a Reference-Free Reward" (arXiv:2405.14734),
    equation 6; section 4 and appendix B for β, γ and rates. Label smoothing ε as in DPO (Mitchell 2023); the paper has
    none.

Shapes: N sequences of M pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.training.method import Batch, Loss, Method, Rates

if TYPE_CHECKING:
    from torch import Tensor

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs

RATES = Rates(lora=(5e-5, 2e-5, 1e-5, 8e-6), full=(5e-6, 2e-6, 1e-6, 8e-7))
"""The paper searches 3e-7 to 1e-6 for 7B and 8B trained whole, and warns of more."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of simple preference optimisation."""

    beta: float = 2.0
    """Scale of the reward; the paper uses 2 to 10."""
    gamma: float = 1.0
    """By how much the better answer's reward should be ahead; half of beta is the paper's starting point."""
    label_smoothing: float = 0.0
    """Share of the pairs that may be the wrong way round, from 0 to below 0.5."""

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise PlanError(f"beta must be above 0, not {self.beta!r}")
        if not self.gamma >= 0:
            raise PlanError(f"gamma must be at least 0, not {self.gamma!r}")
        if not 0 <= self.label_smoothing < 0.5:
            raise PlanError(f"label_smoothing must be from 0 to below 0.5, not {self.label_smoothing!r}")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the chosen answer and the rejected one, each behind the prompt."""
    from dizuo.training.preference_pairs import render_pair

    return render_pair(example, tokenizer)


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block's pairs and their number.

    Figures: `accuracy`, `margin`, `chosen_reward` and `rejected_reward` (β times the mean log-probability).
    """
    from dizuo.training import preference_pairs

    reward_N = options.beta * preference_pairs.sum_logprobs(outputs) / preference_pairs.sum_weights(outputs)
    rewards = preference_pairs.pair_up(reward_N, batch)
    total = pair_losses(rewards.difference, options).sum()
    return Loss(total, float(len(rewards.chosen)), preference_pairs.figures_of(rewards))


def pair_losses(margin_M: Tensor, options: Options) -> Tensor:
    """Return the loss of each pair from the difference of its rewards: [M]."""
    from torch.nn import functional as F

    d_M, epsilon = margin_M - options.gamma, options.label_smoothing
    return -(1 - epsilon) * F.logsigmoid(d_M) - epsilon * F.logsigmoid(-d_M)


METHOD = Method(Options=Options, kinds=("preference",), sequences=sequences, loss=loss, rates=RATES)
