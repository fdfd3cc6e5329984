"""The first loss is the one that the untrained model has, computed apart, and the model can read what it is given.

Answers that a model would never give, such as class names that mean nothing, may have a first loss above that of a
uniform guess, and are learnt all the same. So a bad first loss alone says nothing; where the model predicts the whole
text, prompts included, worse than a guess, tokenizer, template and weights do not belong together.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.doctor.losses import make_outputs, sums_tokens

SAME = 1e-3
"""Allowed difference from the untrained model, relative above 1."""
WORSE = 0.5
"""Nats above a uniform guess that an untrained model may have."""


@torch.no_grad()
def check(subject: Subject) -> Finding:
    """Compare the loss before the first step with the untrained model's, run by transformers alone, and with ln V."""
    method, store = subject.method, subject.batch
    untrained = subject.untrained
    first = subject.first.loss
    if method.needs_last or method.before is not None:
        return skipped(f"it is {first:.4f}; the method reads more than log-probabilities, so there is nothing to match")
    batch = store.batch(range(len(store)))
    values = torch.from_numpy(np.concatenate([*untrained, np.empty(0)]))
    head = subject.small.use.num_outputs
    loss = method.loss(make_outputs(batch, values, num_scores=head), batch, subject.loss_options)
    expected = float(loss.total) / loss.weight
    difference = abs(first - expected) / max(1.0, abs(expected))
    measured = f"{first:.4f}, {expected:.4f} by the untrained model alone"
    if not difference <= SAME:
        return red(
            f"{measured} (allowed to differ by {SAME:g})",
            meaning="The run does not begin where the model stands: an adapter is not zero at first, or what is run is "
            "not the model.",
            lines=[row.place for row in subject.sample],
            hint="set train.layout to padded; if it stays so, report the model",
        )
    if not sums_tokens(subject):
        return green(measured)
    uniform = math.log(subject.model.spec.vocab_size)
    measured += f", {uniform:.2f} for a uniform guess"
    if first <= uniform + WORSE:
        return green(measured)
    read = -float(np.concatenate(subject.run_plainly(subject.model.module, everything=True)).mean())
    measured += f"; {read:.2f} for all of the text"
    if read > uniform + WORSE:
        return red(
            measured,
            meaning="The model does worse on this text, prompts included, than one that knows nothing: its weights, "
            "its tokenizer and its chat template do not belong together.",
            lines=[row.place for row in subject.sample],
            hint="check that tokenizer and weights come from one release of the model",
        )
    return green(measured)


CHECK = Check(title="the first loss is that of the untrained model", trap=7, check=check)
