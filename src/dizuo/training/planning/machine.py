"""What a run depends on besides its plan: processor, threads, library versions, memory."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["available_memory", "differences", "facts", "has_bf16", "total_memory"]

LIBRARIES = ("torch", "transformers", "peft", "numpy", "safetensors")
"""Libraries whose version may change a bit of the result."""


def facts(*, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Return what must be equal for a resumed run to equal an uninterrupted one bit for bit."""
    return {
        "cpu": _cpu(),
        "threads": threads,
        "device": _gpu() if device == "cuda" else "cpu",
        "libraries": {name: _version(name) for name in LIBRARIES},
    }


def differences(there: dict[str, Any], here: dict[str, Any], *, prefix: str = "") -> list[str]:
    """Return one line per fact that differs, as in `threads: 2 there, 8 here`."""
    out: list[str] = []
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            out += differences(old, new, prefix=f"{name} ")
        elif old != new:
            out.append(f"{prefix}{name}: {_shown(old)} there, {_shown(new)} here")
    return out


@cache
def has_bf16(device: str = "cpu") -> bool:
    """Whether the processor, or the GPU, multiplies bfloat16 in hardware; emulation is slower than float32."""
    if device == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = set(_cpuinfo("flags").split()) | set(_cpuinfo("Features").split())
    return bool(flags & {"amx_bf16", "avx512_bf16", "bf16"})


def total_memory(device: str = "cpu") -> int:
    """Bytes of memory this process may ever use: the machine's, or its container's limit; or the GPU's."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[1])
    import psutil

    return min([int(psutil.virtual_memory().total), *_container("memory.max", "memory.limit_in_bytes")])


def available_memory(device: str = "cpu") -> int:
    """Bytes of memory that are free now, within the container's limit; or on the GPU."""
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    limit = _container("memory.max", "memory.limit_in_bytes")
    used = _container("memory.current", "memory.usage_in_bytes")
    if limit and used and limit[0] < psutil.virtual_memory().total:
        free = min(free, max(0, limit[0] - used[0]))
    return free


def _container(*names: str) -> list[int]:
    for name in names:
        for folder in ("/sys/fs/cgroup", "/sys/fs/cgroup/memory"):
            try:
                text = Path(folder, name).read_text("ascii").strip()
            except OSError:
                continue
            if text.isdigit():
                return [int(text)]
    return []


def _gpu() -> str:
    import torch

    major, minor = torch.cuda.get_device_capability()
    return f"{torch.cuda.get_device_name()} sm_{major}{minor} cuda {torch.version.cuda}"


@cache
def _cpu() -> str:
    parts = [_cpuinfo(name) for name in ("model name", "cpu family", "model", "stepping")]
    known = " ".join(part for part in parts if part)
    return f"{platform.machine()} {known or platform.processor()}".strip()


@cache
def _cpuinfo(name: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return ""
    for line in text.split("\n"):
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def _shown(value: Any) -> str:
    return "nothing" if value is None else str(value)
