"""torch can be imported, fits the graphics driver, and computes on the GPU where there is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, well
from dizuo.machine.surroundings import Surroundings

__all__ = ["CHECK"]

DRIVER = Path("/proc/driver/nvidia/version")
INSTALL = "https://pytorch.org/get-started/locally shows the build for your driver"


def check(surroundings: Surroundings) -> Finding:
    """Import torch, compare its CUDA with the driver, and multiply on each GPU."""
    try:
        import torch
    except ImportError as error:
        said = (str(error).splitlines() or [""])[0][:120]
        return broken(f"torch cannot be imported: {said}", hint=f"install it; {INSTALL}")
    return judge(torch, DRIVER.read_text() if DRIVER.exists() else None)


def judge(torch: Any, driver: str | None) -> Finding:
    """Return the finding on a build of torch beside a driver; None is no driver."""
    built = torch.version.cuda or getattr(torch.version, "hip", None)
    named = f"torch {torch.__version__}"
    if driver is None and not torch.cuda.is_available():
        return well(f"{named}, and no NVIDIA driver: it computes on the processor")
    version = next((word for word in (driver or "").split() if word[:1].isdigit() and "." in word), "unknown")
    if not built:
        return look(f"{named} is for processors, beside NVIDIA driver {version}", hint=f"for the GPU: {INSTALL}")
    if not torch.cuda.is_available():
        hint = (
            f"update the driver, or install an older CUDA's build: {INSTALL}; in a container start it with --gpus all"
        )
        return broken(f"{named} (CUDA {built}) cannot use NVIDIA driver {version}", hint=hint)
    names = []
    for index in range(torch.cuda.device_count()):
        try:
            ones = torch.ones(8, 8, device=f"cuda:{index}")
            right = bool((ones @ ones).sum().item() == 512)
        except RuntimeError as error:
            said = (str(error).splitlines() or [""])[0][:120]
            return broken(f"{torch.cuda.get_device_name(index)}: {said}", hint=f"this build lacks the GPU: {INSTALL}")
        if not right:
            return broken(f"{torch.cuda.get_device_name(index)} computes wrongly", hint="have the GPU looked at")
        names.append(torch.cuda.get_device_name(index))
    return well(f"{named} (CUDA {built}), driver {version}: {', '.join(names)}")


CHECK = Check(title="torch and driver", order=90, check=check, seconds=30.0)
