"""The machine that a benchmark ran on, and how busy it was."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BUSY", "Machine", "describe_machine", "read_load_average"]

BUSY = 0.25
"""Processes that want to run, per core, above which a machine is not quiet enough for its figures to be trusted."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it was measured."""

    processor: str
    cores: int
    memory: int
    """Bytes."""
    system: str
    python: str
    load_before: float | None
    """Processes that wanted to run in the minute before, on average; None where the system does not tell."""
    load_after: float | None


def describe_machine(load_before: float | None) -> Machine:
    """Return what this machine is, and how busy it is now and was before."""
    import psutil

    return Machine(
        _read_processor(), os.cpu_count() or 1, psutil.virtual_memory().total,
        f"{platform.system()} {platform.release()} {platform.machine()}", platform.python_version(), load_before,
        read_load_average(),
    )  # fmt: skip


def read_load_average() -> float | None:
    """Return how many processes wanted to run in the last minute, on average; None where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
