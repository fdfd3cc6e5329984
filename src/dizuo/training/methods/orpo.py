"""Odds ratio preference optimisation: fine-tuning on the better answers that also pushes the worse ones away.

    loss = −log P(y_w|x) − λ log σ( log [odds(y_w|x) / odds(y_l|x)] )
    odds = P / (1 − P),    log P(y|x) = 1/|y| Σ log π(token | tokens before it)

One pass from an untuned model; no model before training is consulted. The loss is the mean over the pairs of the
optimizer step, with the mean over its tokens within a pair: P as the paper defines it. (TRL takes the first term over
prompt and answer of all pairs of a micro-batch together; here the prompt is read and not trained.)

References:
    Hong et al. 2024, "ORPO: Monolithic Preference Optimization without Reference Model" (arXiv:2403.07691),
    equations 3 to 7; section 5 for λ = 0.1 and the rate 8e-6.

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

RATES = Rates(lora=(3e-4, 2e-4, 1e-4, 8e-5), full=(3e-5, 2e-5, 1e-5, 8e-6))
"""The paper trains 2.7B and 7B whole at 8e-6."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of odds ratio preference optimisation."""

    weight: float = 0.1
    """Weight λ of the odds ratio against the likelihood of the better answers."""

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise PlanError(f"weight must be at least 0, not {self.weight!r}")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the chosen answer and the rejected one, each behind the prompt."""
    from dizuo.training.preference_pairs import render_pair

    return render_pair(example, tokenizer)


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block's pairs and their number.

    Figures: `nll` (the first term), `accuracy`, `margin` (the log odds ratio), `chosen_reward` and `rejected_reward`
    (the log odds).
    """
    from dizuo.training import preference_pairs

    means_N = preference_pairs.sum_logprobs(outputs) / preference_pairs.sum_weights(outputs)
    means = preference_pairs.pair_up(means_N, batch)
    odds = preference_pairs.Pairs(log_odds(means.chosen), log_odds(means.rejected))
    total = (options.weight * odds_losses(odds.difference) - means.chosen).sum()
    figures = {"nll": -means.chosen.detach().sum(), **preference_pairs.figures_of(odds)}
    return Loss(total, float(len(means.chosen)), figures)


def log_odds(logp_M: Tensor) -> Tensor:
    """Return log [P / (1 − P)] from log P < 0: [M], finite up to log P = −1e-12."""
    import torch

    # log(1 − eˣ) as log(−expm1(x)): no difference of nearly equal numbers. A P of 1 has no odds.
    return logp_M - torch.log(-torch.expm1(logp_M.clamp(max=-1e-12)))


def odds_losses(log_odds_ratio_M: Tensor) -> Tensor:
    """Return −log σ(log odds ratio) of each pair: [M]."""
    from torch.nn import functional as F

    return -F.logsigmoid(log_odds_ratio_M)


METHOD = Method(Options=Options, kinds=("preference",), sequences=sequences, loss=loss, rates=RATES)
