"""The states of sequences' last tokens, for heads on them.

Shapes: n sequences, D hidden.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.trees.runner import Runner, _parts
from dizuo.trees.tree import Sequences

__all__ = ["last_states"]


@torch.no_grad()
def last_states(runner: Runner, sequences: Sequences, *, max_tokens: int = 4096) -> NDArray[np.float32]:
    """Return [n, D] the state of each sequence's last token after the final norm, in the order given.

    Args:
        runner: the model.
        sequences: any number of any lengths; their weights are not read.
        max_tokens: packed tokens of one forward pass. Sequences that share a prefix should lie next to each other.
    """
    if not len(sequences):
        return np.empty((0, runner.head.weight.shape[1]), np.float32)
    unweighted = replace(sequences, weights=tuple(np.zeros(len(ids), np.float32) for ids in sequences.ids))
    states = []
    for part in _parts(unweighted, max_tokens):
        last = runner.forward(part, need_last=True).last
        assert last is not None
        states.append(last.float().cpu().numpy())
    return np.concatenate(states)
