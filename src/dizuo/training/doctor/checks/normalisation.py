"""The step's loss is Σ weight × cross-entropy / Σ weight over all its blocks, computed again without any of our code.

Only losses that are sums over trained tokens have this form (supervised fine-tuning, continued pretraining). That a
loss has it is found by asking it: its gradient by each token's log-probability is then a constant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.losses import sums_tokens
from dizuo.training.method import Batch

BOUND = 1e-4
"""Allowed difference, relative above 1: transformers sums in another order."""


def check(subject: Subject) -> Finding:
    """Run the method on blocks of very different size and compare with transformers and one division."""
    if not sums_tokens(subject):
        return skipped("the method's loss is no sum over trained tokens, so there is no direct form to compare with")
    store = subject.batch
    if len(store) < 2:
        return skipped("there is only one row to train")
    runner, options = subject.build_stepper().runner, subject.loss_options
    alone = subject.run_plainly(subject.network.module)
    blocks = [_ragged(store.batch([0])), store.batch(range(1, len(store)))]
    total = weight = 0.0
    with torch.no_grad():
        for block in blocks:
            loss = subject.method.loss(runner.forward(block.sequences), block, options)
            total, weight = total + float(loss.total), weight + loss.weight
    direct, count, number = 0.0, 0.0, 0
    for block in blocks:
        for weights in block.sequences.weights:
            own = store.weights(number)
            chosen = weights[own != 0].astype(np.float64)
            direct -= float(chosen @ alone[number])
            count += float(chosen.sum())
            number += 1
    expected, got = direct / count, total / weight
    difference = abs(got - expected) / max(1.0, abs(expected))
    measured = f"{got:.6f} in two blocks, {expected:.6f} directly: {difference:.1e} apart (allowed {BOUND:.0e})"
    if difference <= BOUND:
        return green(measured)
    return red(
        measured,
        meaning="Tokens of a small block count more than those of a large one (a mean of means), or the sum is divided "
        "by something else than its weights.",
        lines=[row.place for row in subject.sample],
        hint="return the block's weighted sum as Loss.total and the sum of its weights as Loss.weight",
    )


def _ragged(batch: Batch) -> Batch:
    """Leave only the last trained token of each sequence, so that blocks differ in how much they train."""
    weights = []
    for own in batch.sequences.weights:
        kept = np.zeros_like(own)
        last = np.flatnonzero(own)[-1]
        kept[last] = own[last]
        weights.append(kept)
    return replace(batch, sequences=replace(batch.sequences, weights=tuple(weights)))


CHECK = Check(title="the loss is the trained tokens' mean, computed directly", trap=1, check=check)
