"""There is memory for a small model, within the limit of a container where there is one."""

from __future__ import annotations

from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, well
from dizuo.machine.surroundings import Surroundings
from dizuo.training.planning.machine import available_memory, total_memory

__all__ = ["CHECK"]

LITTLE, NONE = 3 * 2**30, 2**30
"""Bytes: the quickstart's run, and a model with nothing beside it."""


def check(surroundings: Surroundings) -> Finding:
    """Ask the system, and the container."""
    free, total = available_memory(), total_memory()
    text = f"{free / 2**30:.1f} GiB of {total / 2**30:.1f} GiB are free"
    hint = "end other programs, raise the container's limit, or choose a smaller model (dizuo select)"
    return broken(text, hint=hint) if free < NONE else look(text, hint=hint) if free < LITTLE else well(text)


CHECK = Check(title="memory", order=70, check=check)
