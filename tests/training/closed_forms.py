"""Outputs and batches with given log-probabilities, for losses whose values are known from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from dizuo.training.method import Batch
from dizuo.trees import Outputs, Sequences


def outputs_of(logprobs: Sequence[Sequence[float]], *, weights: Sequence[Sequence[float]] | None = None) -> Outputs:
    """Return what a model said: per sequence, the log-probabilities of its weighted tokens."""
    flat = torch.tensor([value for row in logprobs for value in row], requires_grad=True)
    given = torch.ones(len(flat)) if weights is None else torch.tensor([value for row in weights for value in row])
    sequence = torch.repeat_interleave(torch.arange(len(logprobs)), torch.tensor([len(row) for row in logprobs]))
    return Outputs(flat, given, sequence, len(logprobs), None, 0, 0)


def batch_of(num: int, *, members: int = 2, **more: Any) -> Batch:
    """Return a batch of `num` sequences, `members` to an example; their tokens do not matter."""
    one = (np.array([1, 2], np.int32), np.array([0.0, 1.0], np.float32))
    examples = num // members
    values = {
        "sequences": Sequences((one[0],) * num, (one[1],) * num),
        "group": np.repeat(np.arange(examples), members),
        "member": np.tile(np.arange(members), examples),
        "example": np.arange(examples),
        "targets": np.zeros((examples, 0), np.float32),
    }
    reference = more.pop("reference", None)
    if reference is not None:
        values["reference"] = np.array(reference, np.float64)
    return Batch(**{**values, **more})


def paired(chosen: Sequence[float], rejected: Sequence[float]) -> list[float]:
    """Return chosen and rejected numbers in the order of a batch."""
    return [value for pair in zip(chosen, rejected, strict=True) for value in pair]


def paired_rows(chosen: Sequence[float], rejected: Sequence[float]) -> list[list[float]]:
    """Return the same as sequences of one token."""
    return [[value] for value in paired(chosen, rejected)]


# torchtune 0.6, tests/torchtune/rlhf/loss/test_dpo_loss.py: log-probabilities of three pairs.
CHOSEN, REJECTED = [-0.5, -10.0, -1.0], [-0.1, -30.0, -21.0]
CHOSEN_BEFORE, REJECTED_BEFORE = [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1]
