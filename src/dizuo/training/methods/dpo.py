"""Direct preference optimisation: raise the better answer over the worse one, measured against the untrained model.

    Δ = [log π(y_w|x) − log π_ref(y_w|x)] − [log π(y_l|x) − log π_ref(y_l|x)]

    sigmoid   −(1−ε) log σ(βΔ) − ε log σ(−βΔ)                       DPO; with ε > 0 conservative DPO
    robust    [−(1−ε) log σ(βΔ) + ε log σ(−βΔ)] / (1−2ε)            robust DPO
    ipo       (Δ̄ − 1/(2β))²                                        IPO; Δ̄ has means over tokens, β is the paper's τ
    hinge     max(0, 1 − βΔ)                                        RSO's hinge

log π(y|x) is the sum over the tokens of the answer, end of turn included. The loss is the mean over the pairs of the
optimizer step. π_ref is the model as it was before training; its values are computed once, before the first step, with
dropout off. The prompt, which both answers share, is computed once.

References:
    Rafailov et al. 2023, "Direct Preference Optimization" (arXiv:2305.18290), equation 7.
    Mitchell 2023, "A note on DPO with noisy preferences & relationship to IPO" (ericmitchell.ai/cdpo.pdf), equation 3:
    label smoothing ε, the share of pairs that are the wrong way round.
    Chowdhury et al. 2024, "Provably Robust DPO" (arXiv:2403.00409), section 3.2.
    Azar et al. 2023, "A General Theoretical Paradigm to Understand Learning from Human Preferences"
    (arXiv:2310.12036), equation 17. The paper has sums; its authors' results are of means over tokens (as TRL found out
    by asking them), without which long answers have larger losses.
    Liu et al. 2023, "Statistical Rejection Sampling Improves Preference Optimization" (arXiv:2309.06657): the hinge on
    likelihoods divided by the reference's.

Left out on purpose: dropout, which would make π and π_ref disagree before the first step; other divergences than the
reverse KL; a reference other than the model itself.

Shapes: N sequences of M pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dizuo.errors import PlanError, did_you_mean
from dizuo.training.method import Batch, Loss, Method, Rates

if TYPE_CHECKING:
    from torch import Tensor

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs

LOSSES = ("sigmoid", "robust", "ipo", "hinge")
RATES = Rates(lora=(5e-5, 2e-5, 1e-5, 5e-6), full=(5e-6, 2e-6, 1e-6, 5e-7))
"""A twentieth of what teaching new text takes. Tunstall et al. 2023 (Zephyr, arXiv:2310.16944) train 7B whole at 5e-7
and with adapters at ten times that; smaller models take larger steps."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of direct preference optimisation."""

    beta: float = 0.1
    """How strongly the model is held to what it was: larger stays nearer. With `ipo`, the paper's τ."""
    loss: Literal["sigmoid", "robust", "ipo", "hinge"] = "sigmoid"
    """`sigmoid` is DPO, `robust` is DPO for pairs of which a known share is wrong, `ipo` does not push pairs apart
    without end, `hinge` stops at a margin of 1 / beta."""
    label_smoothing: float = 0.0
    """Share ε of the pairs that may be the wrong way round, from 0 to below 0.5; for `sigmoid` and `robust`."""

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            hint = did_you_mean(str(self.loss), LOSSES)
            raise PlanError(f"loss must be one of {', '.join(LOSSES)}, not {self.loss!r}{hint}")
        if not self.beta > 0:
            raise PlanError(f"beta must be above 0, not {self.beta!r}")
        if not 0 <= self.label_smoothing < 0.5:
            raise PlanError(f"label_smoothing must be from 0 to below 0.5, not {self.label_smoothing!r}")
        if self.label_smoothing and self.loss not in ("sigmoid", "robust"):
            raise PlanError(f"label_smoothing is {self.label_smoothing:g}, which loss: {self.loss} does not have")
        if self.loss == "robust" and not self.label_smoothing:
            raise PlanError("loss: robust needs label_smoothing, the share of pairs that are the wrong way round")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the chosen answer and the rejected one, each behind the prompt."""
    from dizuo.training.preference_pairs import render_pair

    return render_pair(example, tokenizer)


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block's pairs and their number.

    Figures: `accuracy`, `margin` (βΔ), `chosen_reward` and `rejected_reward` (β times the log ratio), see
    `dizuo.training.preference_pairs`.
    """
    from dizuo.training import preference_pairs

    ratios_N = preference_pairs.log_ratios(outputs, batch)
    means_N = ratios_N / preference_pairs.sum_weights(outputs)
    delta_M = preference_pairs.pair_up(means_N if options.loss == "ipo" else ratios_N, batch).difference
    total = pair_losses(delta_M, options).sum()
    rewards = preference_pairs.pair_up(options.beta * ratios_N, batch)
    figures = preference_pairs.figures_of(rewards, level=options.beta * preference_pairs.LEVEL)
    return Loss(total, float(len(delta_M)), figures)


def pair_losses(delta_M: Tensor, options: Options) -> Tensor:
    """Return the loss of each pair from its Δ: [M]."""
    from torch.nn import functional as F

    scaled_M, epsilon = options.beta * delta_M, options.label_smoothing
    if options.loss == "ipo":
        return (delta_M - 1 / (2 * options.beta)).square()
    if options.loss == "hinge":
        return F.relu(1 - scaled_M)
    right_M, wrong_M = -(1 - epsilon) * F.logsigmoid(scaled_M), -epsilon * F.logsigmoid(-scaled_M)
    if options.loss == "robust":
        return (right_M - wrong_M) / (1 - 2 * epsilon)
    return right_M + wrong_M


METHOD = Method(
    Options=Options,
    kinds=("preference",),
    sequences=sequences,
    loss=loss,
    rates=RATES,
    needs_reference=True,
)
