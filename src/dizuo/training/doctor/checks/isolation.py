"""Editing one example moves no other example of its batch, by exactly nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.trees import Sequences, common_prefix

MIXTURE = 1e-5
"""Allowed where experts take tokens in batches: the order of a sum may change with what else they are given."""


def check(subject: Subject) -> Finding:
    """Change the inside of one sequence and compare all log-probabilities and last states of the others."""
    runner = subject.build_stepper().runner
    before = _all_trained(subject)
    edited = _edit(before)
    if edited is None:
        return skipped("the sample has no two different rows with room for a change")
    number, after = edited
    with torch.no_grad():
        outputs = [runner.forward(sequences, need_last=True) for sequences in (before, after)]
    others = outputs[0].sequence != number
    assert outputs[0].last is not None
    assert outputs[1].last is not None
    rows = torch.arange(len(before), device=others.device) != number
    moved = max(
        float((outputs[0].logprobs - outputs[1].logprobs)[others].abs().max()),
        float((outputs[0].last - outputs[1].last)[rows].abs().max()),
    )
    own = float((outputs[0].logprobs - outputs[1].logprobs)[~others].abs().max())
    mixture = getattr(runner.config, "num_local_experts", None) or getattr(runner.config, "num_experts", None)
    allowed = MIXTURE if mixture else 0.0
    measured = f"the edited one moves by {own:.1e} nats, the others by {moved:.1e} (allowed {allowed:g})"
    if own > 0 and moved <= allowed:
        return green(measured)
    if not own > 0:
        return red(
            measured,
            meaning="Changing a row's tokens changed nothing: the model does not read them.",
            hint="check the model's weights, and report it",
        )
    return red(
        measured,
        meaning="Examples that happen to share a batch read each other. The model learns from text that will not be "
        "there when it is asked.",
        lines=[row.place for row in subject.sample],
        hint="set train.layout to padded; if it is padded already, a layer of the model mixes the rows of a batch",
    )


def _all_trained(subject: Subject) -> Sequences:
    """Return the sample with every token weighted, so that every log-probability is seen."""
    batch = subject.batch.batch(range(len(subject.batch))).sequences
    weights = []
    for ids in batch.ids:
        ones = np.ones(len(ids), np.float32)
        ones[0] = 0.0
        weights.append(ones)
    return replace(batch, weights=tuple(weights))


def _edit(batch: Sequences) -> tuple[int, Sequences] | None:
    """Return a sequence's number and the batch with its inside changed, so that neither order nor sharing changes.

    The first token that no neighbour shares stays: the tree keeps its shape, and every other sum its order.
    """
    for number in sorted(range(len(batch)), key=lambda n: -len(batch.ids[n])):
        ids = batch.ids[number]
        shared = max((common_prefix(ids, other) for n, other in enumerate(batch.ids) if n != number), default=len(ids))
        if len(ids) - shared >= 3:
            changed: NDArray[np.int32] = ids.copy()
            changed[shared + 1 :] = np.roll(ids[shared + 1 :], 1)
            if np.array_equal(changed, ids):
                changed[shared + 1 :] = ids[0]
            return number, replace(batch, ids=(*batch.ids[:number], changed, *batch.ids[number + 1 :]))
    return None


CHECK = Check(title="editing one example moves no other", trap=2, check=check)
