"""Kahneman–Tversky optimisation: single answers that were wanted or not, measured against the untrained model.

    r  = log π(y|x) − log π_ref(y|x)
    z₀ = max(0, mean of log π(y'|x) − log π_ref(y'|x) over the step's rows)         y' is another row's answer
    loss = λ_D (1 − σ(β(r − z₀)))  for a wanted answer,   λ_U (1 − σ(β(z₀ − r)))  for an unwanted one

The loss is the mean over the rows of the optimizer step. z₀ estimates KL(π‖π_ref) over the whole step, whatever its
blocks and ranks; no gradient flows through it.

Where y' comes from: the rows of a split are put in a seeded order, and each takes the answer of the next row that has
another prompt and fits the length limit. The pairing belongs to the data, so it is the same for any batch size and any
number of ranks, and its reference is computed once. (Paper and TRL shift the answers within a micro-batch.)

Rows of preferences are trained too: the chosen answer is wanted, the rejected one is not.

References:
    Ethayarajh et al. 2024, "KTO: Model Alignment as Prospect Theoretic Optimization" (arXiv:2402.01306), equation 8;
    section 4.1 for z₀; section 4.2 for λ_D n_D / (λ_U n_U) from 1 to 3/2.

Left out on purpose: dropout, which would make π and π_ref disagree before the first step.

Shapes: M rows. `loss` sees one sequence of each, the answer, and `before` the other, the mismatched answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.training.method import Batch, Entry, Loss, Method, Rates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs

RATES = Rates(lora=(5e-5, 2e-5, 1e-5, 5e-6), full=(5e-6, 2e-6, 1e-6, 5e-7))
"""The paper trains 7B and 8B whole at 5e-7 to 5e-6."""
TRIES = 64
"""Rows looked at for an answer to another prompt; where none of them has one, any other answer will do."""
RATIO = (1.0, 1.5)
"""Range of λ_D n_D / (λ_U n_U) that the paper found to work."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of Kahneman–Tversky optimisation."""

    beta: float = 0.1
    """How strongly the model is held to what it was: larger stays nearer."""
    desirable_weight: float = 1.0
    """λ_D, the weight of wanted answers."""
    undesirable_weight: float = 1.0
    """λ_U, the weight of unwanted answers."""

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise PlanError(f"beta must be above 0, not {self.beta!r}")
        for name in ("desirable_weight", "undesirable_weight"):
            if not getattr(self, name) > 0:
                raise PlanError(f"{name} must be above 0, not {getattr(self, name)!r}")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the answer behind its prompt; of a preference, both answers."""
    from dizuo.data.rendering.conversations import render_answer
    from dizuo.records import Feedback
    from dizuo.training.preference_pairs import render_pair

    if isinstance(example, Feedback):
        return [render_answer(tokenizer, example.prompt, example.completion, tools=example.tools)]
    return render_pair(example, tokenizer)


def targets(example: Example, task: Task | None, options: Options) -> Sequence[float]:
    """Return 1 for a wanted answer and 0 for an unwanted one; of a preference, both."""
    from dizuo.records import Feedback

    return (float(example.desirable),) if isinstance(example, Feedback) else (1.0, 0.0)


def arrange(entries: Sequence[Entry], max_length: int, options: Options) -> Iterator[Entry]:
    """Yield one entry per answer: the answer, and another row's answer behind its prompt."""
    import numpy as np

    from dizuo.data import order

    answers = [
        Entry(entry.row, [answer], [wish])
        for entry in entries
        for answer, wish in zip(entry.sequences, entry.targets, strict=True)
    ]
    shuffled = order(len(answers), seed=0, epoch=0)
    rank = np.argsort(shuffled)
    for number, entry in enumerate(answers):
        following = (
            answers[shuffled[(rank[number] + step) % len(answers)]].sequences[0]
            for step in range(1, min(TRIES, len(answers) - 1) + 1)
        )
        yield replace(entry, sequences=[entry.sequences[0], _mismatch(entry.sequences[0], following, max_length)])


def _mismatch(own: Rendered, others: Iterable[Rendered], max_length: int) -> Rendered:
    """Return the prompt of `own` with the answer of the first of `others` that has another prompt and fits."""
    import numpy as np

    prompt = own.ids[: own.num_prompt]
    room = max(max_length, len(own.ids)) - len(prompt)  # what is too long by itself is cut or refused with its own row
    chosen = same_prompt = None
    for other in others:
        if len(other.ids) - other.num_prompt <= room:
            same_prompt = same_prompt or other
            if not np.array_equal(other.ids[: other.num_prompt], prompt):
                chosen = other
                break
    chosen = chosen or same_prompt or own
    ids = np.concatenate((prompt, chosen.ids[chosen.num_prompt :]))
    weights = np.concatenate((np.zeros(len(prompt), np.float32), chosen.weights[chosen.num_prompt :]))
    return replace(own, ids=ids, weights=weights)


def check_targets(targets: NDArray[np.float32], options: Options) -> Sequence[str]:
    """Return a note where the two kinds are far from balanced.

    Raises:
        PlanError: the training rows have one kind only.
    """
    wanted = int((targets[:, 0] > 0.5).sum())
    unwanted = len(targets) - wanted
    if not wanted or not unwanted:
        raise PlanError(
            f"all {len(targets):,} training answers are {'wanted' if wanted else 'unwanted'}, and KTO needs both kinds",
            hint="add rows of the other kind, or use method: sft on answers that were wanted",
        )
    ratio = options.desirable_weight * wanted / (options.undesirable_weight * unwanted)
    if RATIO[0] * 0.99 <= ratio <= RATIO[1] * 1.01:
        return []
    rarer = "desirable_weight" if ratio < RATIO[0] else "undesirable_weight"
    factor = RATIO[0] / ratio if ratio < RATIO[0] else ratio / RATIO[1]
    value = getattr(options, rarer) * factor
    return [
        f"{wanted:,} wanted and {unwanted:,} unwanted answers: weighted, their ratio is {ratio:.2g}, and {RATIO[0]:g} "
        f"to {RATIO[1]:g} is what works; {rarer}: {value:.2g} would balance them"
    ]


def before(outputs: Outputs, batch: Batch, options: Options) -> Tensor:
    """Return Σ of the mismatched answers' log ratios, and their number: [2]."""
    import torch

    from dizuo.training.preference_pairs import log_ratios

    ratios_M = log_ratios(outputs, batch)
    return torch.stack((ratios_M.sum(), ratios_M.new_tensor(float(len(ratios_M)))))


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block's rows and their number.

    Figures: `accuracy` (rows whose reward is on the right side of z₀, level ones count half), `kl` (z₀ in nats),
    `desirable_reward` and `undesirable_reward` (means of β r over the rows of their kind).
    """
    import torch

    from dizuo.training.preference_pairs import LEVEL, count_ahead, log_ratios

    assert batch.context is not None
    ratios_M = log_ratios(outputs, batch)
    kl = (batch.context[0] / batch.context[1]).clamp(min=0).to(ratios_M)
    wanted_M = torch.from_numpy(batch.targets[:, 0] > 0.5).to(ratios_M.device)
    losses_M = row_losses(ratios_M, wanted_M, kl, options)
    right_side_M = torch.where(wanted_M, 1.0, -1.0) * (ratios_M.detach() - kl)
    rewards_M, ones_M = options.beta * ratios_M.detach(), wanted_M.to(ratios_M)
    num_wanted = float(ones_M.sum())
    figures: dict[str, Tensor | tuple[Tensor, float]] = {
        "accuracy": count_ahead(right_side_M, level=LEVEL),
        "kl": kl * len(ratios_M),
        "desirable_reward": ((rewards_M * ones_M).sum(), num_wanted),
        "undesirable_reward": ((rewards_M * (1 - ones_M)).sum(), len(ratios_M) - num_wanted),
    }
    return Loss(losses_M.sum(), float(len(ratios_M)), figures)


def row_losses(ratios_M: Tensor, wanted_M: Tensor, kl: Tensor, options: Options) -> Tensor:
    """Return the loss of each row from its log ratio, whether it was wanted, and z₀: [M]."""
    import torch

    ahead_M = torch.where(wanted_M, ratios_M - kl, kl - ratios_M)
    ones_M = wanted_M.to(ratios_M)
    weight_M = options.desirable_weight * ones_M + options.undesirable_weight * (1 - ones_M)
    return weight_M * (1 - torch.sigmoid(options.beta * ahead_M))


METHOD = Method(
    Options=Options,
    kinds=("feedback", "preference"),
    sequences=sequences,
    loss=loss,
    rates=RATES,
    needs_reference=True,
    targets=targets,
    arrange=arrange,
    before=before,
    members_before=(1,),
    check_targets=check_targets,
)
