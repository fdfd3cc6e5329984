"""What a run depends on besides its plan: processor, threads, library versions, memory."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dizuo.training.planning.settings import Device
from dizuo.training.planning.snapshot import JsonObject, Snapshot

__all__ = ["Machine", "available_memory", "has_bf16", "total_memory"]

LIBRARIES = ("torch", "transformers", "peft", "numpy", "safetensors")
"""Libraries whose version may change a bit of the result."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What must be equal for a resumed run to equal an uninterrupted one bit for bit."""

    cpu: str
    threads: int
    device: str
    """`cpu`, or the GPU with its CUDA version."""
    libraries: Mapping[str, str]
    """Versions by name."""

    @classmethod
    def here(cls, *, threads: int, device: Device = "cpu") -> Machine:
        """Return the machine that this process runs on, using so many threads."""
        versions = {name: _version(name) for name in LIBRARIES}
        return cls(_cpu(), threads, _gpu() if device == "cuda" else "cpu", versions)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Machine:
        """Return the machine of what `to_json` gave."""
        return cls(value["cpu"], value["threads"], value["device"], value["libraries"])

    def to_json(self) -> JsonObject:
        """Return plain JSON values."""
        return {"cpu": self.cpu, "threads": self.threads, "device": self.device, "libraries": dict(self.libraries)}

    def differences(self, now: Machine) -> list[str]:
        """Return one line for each fact that is another one now, as in `threads: 2 there, 8 here`."""
        return Snapshot(self.to_json()).differences(Snapshot(now.to_json()), place="here")


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
