"""The method's loss, asked on log-probabilities that no runner made."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dizuo.training.doctor.subject import Patient
from dizuo.training.method import Batch
from dizuo.trees import Outputs

__all__ = ["outputs_of", "sums_tokens"]


def outputs_of(batch: Batch, logprobs: Tensor, *, num_scores: int = 0) -> Outputs:
    """Return what a loss sees, with given log-probabilities.

    Args:
        batch: n sequences with W weighted tokens.
        logprobs: [W], sequence by sequence.
        num_scores: outputs of a head, all zero as they are before the first step.
    """
    weights = [part[part != 0] for part in batch.sequences.weights]
    outputs = Outputs(
        logprobs=logprobs,
        weights=torch.from_numpy(np.concatenate(weights)).to(logprobs.dtype),
        sequence=torch.from_numpy(np.repeat(np.arange(len(weights)), [len(part) for part in weights])),
        num_sequences=len(weights),
        last=None,
        num_tokens=batch.sequences.sum_lengths,
        sum_lengths=batch.sequences.sum_lengths,
    )
    if num_scores:
        outputs.scores = torch.zeros(len(weights), num_scores)
    return outputs


def sums_tokens(patient: Patient) -> bool:
    """Whether the method's loss is linear in the tokens' log-probabilities, and reads nothing else."""
    method = patient.method
    if method.reads_last or method.needs_reference or method.before is not None or method.targets is not None:
        return False
    batch = patient.batch.batch(range(len(patient.batch)))
    count = sum(int(np.count_nonzero(weights)) for weights in batch.sequences.weights)
    first, second = (_gradient(patient, batch, torch.linspace(value, 3 * value, count)) for value in (-0.5, -2.0))
    return bool(torch.allclose(first, second, rtol=1e-4, atol=1e-7))


def _gradient(patient: Patient, batch: Batch, logprobs: Tensor) -> Tensor:
    logprobs = logprobs.clone().requires_grad_()
    with torch.enable_grad():
        total = patient.method.loss(outputs_of(batch, logprobs), batch, patient.loss_options).total
        (gradient,) = torch.autograd.grad(total, logprobs, allow_unused=True)
    return torch.zeros_like(logprobs) if gradient is None else gradient
