"""No weight of the model and no number of the data is NaN or infinite."""

from __future__ import annotations

import math

import numpy as np
import torch

from dizuo.training.doctor import Check, Finding, Subject, green, red


def check(subject: Subject) -> Finding:
    """Look at every weight, at the weights of every token, and at the first loss."""
    subject.rest()
    wrong = [
        f"{name}: {int((~torch.isfinite(tensor)).sum()):,} of {tensor.numel():,} values"
        for name, tensor in subject.model.module.named_parameters()
        if not bool(torch.isfinite(tensor.detach().sum())) and not bool(torch.isfinite(tensor).all())
    ]
    for row in subject.rows:
        if not all(np.isfinite(sequence.weights).all() for sequence in row.sequences):
            wrong.append(f"{row.place}: a training weight of one of its tokens")
    count = sum(parameter.numel() for parameter in subject.model.module.parameters())
    if wrong:
        return red(
            f"{len(wrong):,} places hold a number that is none",
            meaning="Whatever it touches becomes NaN too: the first loss, and with it every weight after one step.",
            lines=wrong,
            hint="fetch the model again where it is a weight; fix or remove the row where it is one of the data",
        )
    if subject.kept and not (math.isfinite(subject.first.loss) and math.isfinite(subject.first.grad_norm)):
        return red(
            f"the first loss is {subject.first.loss}, its gradient norm {subject.first.grad_norm}, on finite weights",
            meaning="The model overflows on these rows before anything is trained.",
            lines=[row.place for row in subject.sample],
            hint="use dtype: float32; if it stays so, the model is damaged or not meant for this use",
        )
    return green(f"{count / 1e6:,.1f} M weights, {len(subject.rows):,} rows, and the first loss")


CHECK = Check(title="no NaN, in the weights or in the data", trap=3, check=check)
