"""Each example of a batch is worth what it is worth alone: positions begin anew, and no token crosses a boundary."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped

WORST, MEAN = 1e-3, 1e-4
"""Allowed differences of a log-probability in float32, in nats; SmolLM2-135M: 2e-5 at worst."""


@torch.no_grad()
def check(subject: Subject) -> Finding:
    """Compare every trained token's log-probability in the batch with transformers on each sequence alone."""
    store = subject.batch
    if not any(store.weights(number).any() for number in range(store.num_sequences)):
        return skipped("no token is trained; the states are looked at by isolation")
    network = subject.network
    together = subject.build_stepper().runner.forward(store.batch(range(len(store))).sequences)
    counted = [int(np.count_nonzero(store.weights(number))) for number in range(store.num_sequences)]
    if len(together.logprobs) != sum(counted):
        return red(
            f"{len(together.logprobs):,} tokens are trained in the batch, {sum(counted):,} in its rows",
            meaning="A token is counted that no row trains, such as one that is predicted across a boundary.",
            hint="report the model; set train.layout to padded until then",
        )
    alone = subject.run_plainly(network.module)
    values = together.logprobs.double().cpu().numpy()
    differences = np.abs(values - np.concatenate(alone))
    measured = (
        f"{len(values):,} trained tokens: {differences.max():.1e} nats at worst (allowed {WORST:.0e}), "
        f"{differences.mean():.1e} on average ({MEAN:.0e})"
    )
    if differences.max() <= WORST and differences.mean() <= MEAN:
        return green(measured)
    starts = np.concatenate(([0], np.cumsum(counted)))
    worst = [float(differences[a:b].max(initial=0.0)) for a, b in itertools.pairwise(starts)]
    owner = [subject.owner(example) for example in range(len(store)) for _ in store.sequences_of(example)]
    return red(
        measured,
        meaning="A row's tokens are predicted differently beside other rows than alone, and alone is how it is served.",
        lines=[f"{row.place}: {moved:.1e} nats" for row, moved in zip(owner, worst, strict=True) if moved > WORST],
        hint="set train.layout to padded; if it is padded already, a layer of the model mixes the rows of a batch",
    )


CHECK = Check(title="examples that share a batch do not contaminate each other", trap=2, check=check)
