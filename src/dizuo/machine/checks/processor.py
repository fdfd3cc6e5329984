"""The processor has the instructions that fast arithmetic needs, and this process may use its cores."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, look, well
from dizuo.machine.surroundings import Surroundings
from dizuo.training.planning.machine import has_bf16

__all__ = ["CHECK"]


def check(surroundings: Surroundings) -> Finding:
    """Read the processor's flags and the cores that are given to this process."""
    cores, allowed = os.cpu_count() or 1, _allowed()
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        flags = set()
    simd = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "NEON" if "asimd" in flags else ""
    text = f"{platform.machine()}, {allowed} of {cores} cores"
    text += f", {simd}" if simd else ""
    text += ", bfloat16" if has_bf16() else ", bfloat16 is emulated: runs are planned in float32"
    if flags and not simd:
        return look(f"{text}, neither AVX2 nor NEON", hint="training works, several times slower than elsewhere")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > allowed:
        return look(f"{text}; OMP_NUM_THREADS={threads}", hint=f"set OMP_NUM_THREADS={allowed}, or unset it")
    return well(text)


def _allowed() -> int:
    """Return the cores of this process: its affinity, within the container's share of time."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return count if quota == "max" else max(1, min(count, round(int(quota) / int(period))))
    except (OSError, ValueError):
        return count


CHECK = Check(title="processor", order=80, check=check)
