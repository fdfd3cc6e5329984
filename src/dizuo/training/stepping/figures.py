"""What a step, or an evaluation, measured: sums over blocks, then over ranks, then the figures that people read."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from dizuo.training.method import Loss
from dizuo.trees import Outputs

__all__ = ["Figures", "Sums", "Tally"]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one step, or one evaluation, measured."""

    loss: float
    """Σ total / Σ weight over all blocks of all ranks."""
    grad_norm: float
    """L2 norm of the whole gradient, before clipping; 0 for an evaluation."""
    tokens: int
    """Tokens over all sequences."""
    packed_tokens: int
    """Tokens that went through the model."""
    seconds: float
    also: Mapping[str, float] = field(default_factory=dict)
    """What the method watches besides its loss."""

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


class Tally:
    """Sums over the blocks of a step, of one rank."""

    def __init__(self) -> None:
        self.weight = 0.0
        self._totals: list[Tensor] = []
        self._also: dict[str, list[Tensor]] = {}
        self._also_weights: dict[str, float] = {}
        self._tokens = self._packed = 0

    def add(self, loss: Loss, outputs: Outputs) -> None:
        """Add a block; nothing is read off the device yet."""
        self._totals.append(loss.total.detach())
        for name, figure in loss.figures.items():
            value, weight = figure if isinstance(figure, tuple) else (figure, loss.weight)
            self._also.setdefault(name, []).append(value.detach())
            self._also_weights[name] = self._also_weights.get(name, 0.0) + weight
        self.weight += loss.weight
        self._tokens += outputs.sum_lengths
        self._packed += outputs.num_tokens

    def sums(self) -> Sums:
        """Return the sums as numbers."""
        also = {name: (_sum(values), self._also_weights[name]) for name, values in self._also.items()}
        return Sums(_sum(self._totals), self.weight, self._tokens, self._packed, also)


@dataclass(frozen=True, slots=True)
class Sums:
    """A step's sums, over the blocks of one rank or of all."""

    total: float
    weight: float
    tokens: int
    packed_tokens: int
    also: Mapping[str, tuple[float, float]]
    """Sum and weight of each further figure."""

    @classmethod
    def over(cls, ranks: Sequence[Sums]) -> Sums:
        """Add up the ranks' sums in double precision, in the order of the ranks: the same bits on all of them."""
        names = {name: None for sums in ranks for name in sums.also}
        nothing = (0.0, 0.0)
        return cls(
            math.fsum(sums.total for sums in ranks),
            math.fsum(sums.weight for sums in ranks),
            sum(sums.tokens for sums in ranks),
            sum(sums.packed_tokens for sums in ranks),
            {
                name: (
                    math.fsum(sums.also.get(name, nothing)[0] for sums in ranks),
                    math.fsum(sums.also.get(name, nothing)[1] for sums in ranks),
                )
                for name in names
            },
        )

    def figures(self, *, grad_norm: float, seconds: float) -> Figures:
        """Divide the sums by their weights."""
        also = {name: value / weight for name, (value, weight) in self.also.items() if weight}
        return Figures(self.total / self.weight, grad_norm, self.tokens, self.packed_tokens, seconds, also)


def _sum(values: Sequence[Tensor]) -> float:
    return math.fsum(float(value) for value in values)
