"""Reward model: a linear head on a conversation's last state says how good its answer is.

    loss = −log σ(r_w − r_l)  +  c (r_w + r_l)²        per pair, over the pairs of the whole optimizer step

r_w is the reward of the better answer, r_l that of the worse one. Pairs fix only the difference of rewards; the second
term, off unless `center` is set, keeps their sum near zero, so that rewards of different prompts can be compared. The
head begins at zero: the first loss is ln 2.

References:
    Bradley & Terry 1952; Ouyang et al. 2022, "Training language models to follow instructions with human feedback",
    equation 1 (with K = 2: one pair per prompt).
    Eisenstein et al. 2023, "Helping or Herding?" (arXiv:2312.09244), section 3: the centring term; they use c = 0.01.

Shapes: M pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dizuo.errors import PlanError
from dizuo.models.heads import HeadFacts
from dizuo.training.method import Batch, Loss, Method
from dizuo.training.planning.learning_rates import TUNING

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a reward model."""

    center: float = 0.0
    """Weight c of the term that keeps a pair's rewards around zero; 0 leaves it out, 0.01 is usual."""
    form: Literal["chat", "text"] = "chat"
    """How a conversation is rendered: `chat` is the model's chat template, `text` the contents alone."""

    def __post_init__(self) -> None:
        if not self.center >= 0:
            raise PlanError(f"center must be at least 0, not {self.center!r}")


def num_outputs(task: Task | None, options: Options) -> int:
    """Return 1."""
    return 1


def head(task: Task | None, options: Options) -> HeadFacts:
    """Return what the output means."""
    return HeadFacts("reward", form=options.form)


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the two conversations, the better one first.

    Raises:
        DataError: both are the same tokens.
    """
    from dizuo.data.rendering.last_token import render_conversation
    from dizuo.errors import DataError
    from dizuo.records import Preference

    assert isinstance(example, Preference)
    pair = [
        render_conversation(tokenizer, example.prompt, answer, form=options.form, tools=example.tools)
        for answer in (example.chosen, example.rejected)
    ]
    if pair[0].ids.tolist() == pair[1].ids.tolist():
        raise DataError("the better and the worse answer are the same tokens")
    return pair


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return the summed loss of the block's pairs and their number.

    `accuracy` counts pairs with the better answer in front, and half of those that are level; `margin` is r_w − r_l.
    """
    from torch.nn import functional as F

    assert outputs.scores is not None
    better_M, worse_M = outputs.scores[0::2, 0].float(), outputs.scores[1::2, 0].float()
    margin_M = better_M - worse_M
    total = -F.logsigmoid(margin_M).sum()
    if options.center:
        total = total + options.center * (better_M + worse_M).square().sum()
    shown_M = margin_M.detach()
    right = (shown_M > 0).float().sum() + 0.5 * (shown_M == 0).float().sum()
    return Loss(total, float(len(margin_M)), {"accuracy": right, "margin": shown_M.sum()})


METHOD = Method(
    Options=Options,
    kinds=("preference",),
    sequences=sequences,
    loss=loss,
    rates=TUNING,
    num_outputs=num_outputs,
    head=head,
)
