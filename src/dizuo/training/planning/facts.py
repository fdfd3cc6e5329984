"""What a checkpoint and a finished run say of the plan and the machine that they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dizuo.training.planning.machine import Machine
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.snapshot import JsonObject, Snapshot

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What must be the same to go on from a checkpoint; only the number of ranks may change."""

    plan: Snapshot
    """Inputs, values and method options."""
    machine: Machine
    ranks: int = 1

    @classmethod
    def of(cls, plan: Plan, *, ranks: int = 1) -> Facts:
        """Return the facts of a plan that so many ranks train on this machine."""
        return cls(plan.trained(), Machine.here(threads=plan.use.threads, device=plan.use.device), ranks)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Facts:
        """Return the facts of what `to_json` gave."""
        plan = {name: value[name] for name in ("inputs", "values", "method_options")}
        return cls(Snapshot(plan), Machine.from_json(value["machine"]), value.get("ranks", 1))

    def to_json(self) -> JsonObject:
        """Return plain JSON values."""
        return {**self.plan.to_json(), "machine": self.machine.to_json(), "ranks": self.ranks}
