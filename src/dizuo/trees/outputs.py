"""What a pass gives back to whoever asked for it: the same numbers in the same order, whatever the layout.

Shapes: n sequences, W weighted tokens over all of them, D hidden, K outputs of a trained head.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Outputs"]


@dataclass(slots=True)
class Outputs:
    """What a method's loss sees, in batch order whatever the layout."""

    logprobs: Tensor
    """[W] log p of every weighted token, sequence by sequence and token by token, in nats."""
    weights: Tensor
    """[W] its weight."""
    sequence: Tensor
    """[W] which sequence it belongs to."""
    num_sequences: int
    """n."""
    last: Tensor | None
    """[n, D] the state of each sequence's last token after the final norm, when asked for."""
    num_tokens: int
    """Tokens that went through the model: at most those of the tree, or n × longest when padded."""
    sum_lengths: int
    """Tokens over all sequences, before sharing or padding."""
    scores: Tensor | None = None
    """[n, K] what a trained head gives for each sequence's last state; set by who owns the head."""
