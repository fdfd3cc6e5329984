"""Whether ranks still hold the same weights: each applies the step itself, to the same gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from dizuo.errors import TrainingError
from dizuo.training.ranks.group import Ranks
from dizuo.training.ranks.sharding import is_sharded

__all__ = ["refuse_drift"]

BOUND = 1e-5
"""Relative difference of a weight's Σ|w| between ranks; equal machines have none, different ones round differently."""
SHOWN = 10
"""Weights named in an error."""


def refuse_drift(parameters: Mapping[str, nn.Parameter], *, ranks: Ranks, step: int) -> None:
    """Refuse to go on where ranks hold different weights.

    Args:
        parameters: what is trained, by name; sharded ones are whole on no rank, so they are passed over.
        ranks: all of them must ask.
        step: the last one, for the error.

    Raises:
        TrainingError: on every rank, naming the weights that differ most early in their order.
    """
    if ranks.world == 1:
        return
    whole = {name: parameter.detach() for name, parameter in parameters.items() if not is_sharded(parameter)}
    sums = ranks.gather({name: float(weight.abs().sum(dtype=torch.float64)) for name, weight in whole.items()})
    for rank, own in enumerate(sums):
        apart = [name for name in own if abs(own[name] - sums[0][name]) > BOUND * abs(sums[0][name])]
        if apart:
            raise TrainingError(
                f"rank {rank} has other weights than rank 0 after step {step}",
                details=[f"{name}: Σ|w| is {own[name]:.9g}, {sums[0][name]:.9g} on rank 0" for name in apart[:SHOWN]],
                hint="the last whole checkpoint is kept; check the machines' memory and library versions",
            )
