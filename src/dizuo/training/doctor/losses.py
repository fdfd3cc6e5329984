"""The method's loss on log-probabilities that no model made.

Shapes: N sequences, W weighted tokens, K outputs of a head.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dizuo.training.doctor.subject import Subject
from dizuo.training.method import Batch
from dizuo.trees import Outputs

__all__ = ["make_outputs", "sums_tokens"]


def make_outputs(batch: Batch, logprobs_W: Tensor, *, num_scores: int = 0) -> Outputs:
    """Return what a loss reads, with given log-probabilities.

    Args:
        batch: N sequences with W weighted tokens.
        logprobs_W: in nats, sequence by sequence.
        num_scores: K, the outputs of a head, all zero as they are before the first step.
    """
    weights = [part[part != 0] for part in batch.sequences.weights]
    outputs = Outputs(
        logprobs=logprobs_W,
        weights=torch.from_numpy(np.concatenate(weights)).to(logprobs_W.dtype),
        sequence=torch.from_numpy(np.repeat(np.arange(len(weights)), [len(part) for part in weights])),
        num_sequences=len(weights),
        last=None,
        num_tokens=batch.sequences.sum_lengths,
        sum_lengths=batch.sequences.sum_lengths,
    )
    if num_scores:
        outputs.scores = torch.zeros(len(weights), num_scores)
    return outputs


def sums_tokens(subject: Subject) -> bool:
    """Return whether the method's loss is linear in the tokens' log-probabilities, and reads nothing else."""
    method = subject.method
    if method.reads_last or method.needs_reference or method.before is not None or method.targets is not None:
        return False
    batch = subject.batch.batch(range(len(subject.batch)))
    count = sum(int(np.count_nonzero(weights)) for weights in batch.sequences.weights)
    first, second = (_gradient(subject, batch, torch.linspace(value, 3 * value, count)) for value in (-0.5, -2.0))
    return bool(torch.allclose(first, second, rtol=1e-4, atol=1e-7))


def _gradient(subject: Subject, batch: Batch, logprobs_W: Tensor) -> Tensor:
    logprobs_W = logprobs_W.clone().requires_grad_()
    with torch.enable_grad():
        total = subject.method.loss(make_outputs(batch, logprobs_W), batch, subject.loss_options).total
        (gradient,) = torch.autograd.grad(total, logprobs_W, allow_unused=True)
    return torch.zeros_like(logprobs_W) if gradient is None else gradient
