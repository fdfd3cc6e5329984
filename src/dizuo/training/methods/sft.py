"""Supervised fine-tuning: maximise the likelihood of the answers, given their prompts.

    loss = − Σ w_t log p(token_t | tokens before it) / Σ w_t        over the whole optimizer step

w_t is 1 on the tokens of trained assistant turns, their end of turn included, and 0 on prompts and padding.

References:
    Ouyang et al. 2022, "Training language models to follow instructions with human feedback", section 3 (SFT).
    Normalisation by the step's trained tokens, not by the mean of per-block means: the gradient-accumulation fault
    found in most frameworks in October 2024 (https://unsloth.ai/blog/gradient).

Left out on purpose: label smoothing, which needs the whole vocabulary's logits; packing, which the token tree replaces.

Shapes: W weighted tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dizuo.errors import PlanError
from dizuo.training.method import Batch, Loss, Method

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dizuo.data import Task
    from dizuo.data.rendering.conversations import Rendered
    from dizuo.data.rendering.tokenizer import Tokenizer
    from dizuo.records import Example
    from dizuo.trees import Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """Options of supervised fine-tuning."""

    prompt_weight: float = 0.0
    """Weight of every prompt token, against 1 for a token of an answer. 0 trains answers only. A prompt token is every
    one that is not of a trained answer, between two answers too; the first of all has nothing before it."""

    def __post_init__(self) -> None:
        if not 0 <= self.prompt_weight <= 1:
            raise PlanError(f"prompt_weight must be from 0 to 1, not {self.prompt_weight!r}")


def sequences(example: Example, task: Task | None, tokenizer: Tokenizer, options: Options) -> Sequence[Rendered]:
    """Return the example's sequences: one as a rule, one per trained turn where a template rewrites earlier turns."""
    from dizuo.data.rendering import conversations

    rendered = conversations.render(tokenizer, example, task)
    if not options.prompt_weight:
        return rendered
    return [replace(sequence, weights=_weigh_prompt(sequence, options.prompt_weight)) for sequence in rendered]


def _weigh_prompt(rendered: Rendered, weight: float) -> NDArray[np.float32]:
    """Return the sequence's weights with that of its prompt tokens; the first token of all has none."""
    weights = rendered.weights.copy()
    rest = weights[1:]
    rest[rest == 0] = weight
    return weights


def loss(outputs: Outputs, batch: Batch, options: Options) -> Loss:
    """Return Σ weight × cross-entropy of the block, and Σ weight."""
    gains_W = outputs.weights * outputs.logprobs
    return Loss(-gains_W.sum(), batch.sequences.total_weight)


METHOD = Method(Options=Options, kinds=("chat", "labelled", "text"), sequences=sequences, loss=loss)
