"""Peak learning rates by adapter and model size: one table for teaching new text, and one that a method may state."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SIZES", "TUNING", "Rates"]

SIZES = (300e6, 1e9, 4e9)
"""Numbers of parameters. A rate is for models below the first, below the second, below the third, and for larger ones:
small models take larger steps."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Peak learning rates for four sizes of models, see `SIZES`."""

    lora: tuple[float, float, float, float]
    """With an adapter of any kind."""
    full: tuple[float, float, float, float]
    """Where every weight is trained."""

    def peak(self, *, adapter: str, parameters: int) -> float:
        """Return the rate for an adapter kind (`full` is none) and a model of so many parameters."""
        rates = self.full if adapter == "full" else self.lora
        return rates[sum(parameters >= size for size in SIZES)]


TUNING = Rates(lora=(1e-3, 5e-4, 3e-4, 2e-4), full=(1e-4, 5e-5, 2e-5, 1e-5))
"""For teaching new text or a head. LoRA's best rate is about ten times that of full training at every size (Schulman et
al. 2025, "LoRA Without Regret")."""
