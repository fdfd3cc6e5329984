"""Making sequences fit the longest length that is trained: prompts are cut, what is trained stays whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from dizuo.data.rendering.conversations import Rendered

__all__ = ["fit"]


def fit(
    sequences: Sequence[Rendered], max_length: int, *, over_length: str
) -> tuple[Sequence[Rendered], int, str | None]:
    """Return an example's sequences made to fit.

    Sequences with the same prompt are cut by the same tokens, as many as the longest of them needs: the answers of a
    preference pair must stand behind one prompt, or their log-probabilities could not be compared.

    Args:
        sequences: of one example.
        max_length: tokens a sequence may have.
        over_length: `refuse`, `cut_prompt` (the prompt's middle) or `cut_prompt_left`.

    Returns:
        The sequences, how many tokens of prompts were cut (a shared prompt counts once), and why they do not fit; None
        when they do.
    """
    if all(len(sequence.ids) <= max_length for sequence in sequences):
        return sequences, 0, None
    if over_length == "refuse":
        longest = max(len(sequence.ids) for sequence in sequences)
        return sequences, 0, f"{longest:,} tokens, the limit is {max_length:,}"
    prompts = [sequence.ids[: sequence.num_prompt].tobytes() for sequence in sequences]
    excess = {
        prompt: max(
            len(sequence.ids) - max_length for sequence, own in zip(sequences, prompts, strict=True) if own == prompt
        )
        for prompt in prompts
    }
    fitted = []
    for sequence, prompt in zip(sequences, prompts, strict=True):
        if excess[prompt] > 0:
            if sequence.num_prompt - excess[prompt] < min(2, sequence.num_prompt):
                length = max_length + excess[prompt]
                reason = f"{length:,} tokens, the limit is {max_length:,}, and its target alone has "
                return sequences, 0, f"{reason}{length - sequence.num_prompt:,}"
            sequence = _cut(sequence, sequence.num_prompt - excess[prompt], left=over_length == "cut_prompt_left")
        fitted.append(sequence)
    return fitted, sum(tokens for tokens in excess.values() if tokens > 0), None


def _cut(sequence: Rendered, room: int, *, left: bool) -> Rendered:
    """Cut the prompt to `room` tokens; the target behind it stays whole.

    In the middle: the first half of what may stay and the last half, so that an instruction at the start and the
    turn's opening at the end both survive. At the left: the first token (BOS) and the end of the prompt.
    """
    head = 1 if left else (room + 1) // 2
    tail = room - head
    keep = np.concatenate((np.arange(head), np.arange(sequence.num_prompt - tail, len(sequence.ids))))
    ids, weights = np.asarray(sequence.ids)[keep], np.asarray(sequence.weights)[keep]
    if tail:
        weights[head] = 0.0  # where prompts are trained: what stood before this token is gone
    return replace(sequence, ids=ids, weights=weights, num_prompt=room)
