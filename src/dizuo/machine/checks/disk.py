"""There is room where dizuo writes: the cache, the working folder, and temporary files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from dizuo.artifacts import cache_root
from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, well
from dizuo.machine.surroundings import Surroundings

__all__ = ["CHECK"]

LITTLE, NONE = 10 * 10**9, 10**9
"""Bytes: a run with a model of a billion parameters, and the smallest one."""


def check(surroundings: Surroundings) -> Finding:
    """Write a few bytes to each place and see what is free."""
    places = {"cache": (cache_root(), "DIZUO_HOME"), "working folder": (Path.cwd(), "the folder")}
    places["temporary files"] = (Path(tempfile.gettempdir()), "TMPDIR")
    free = {}
    for name, (place, variable) in places.items():
        there = next(path for path in (place, *place.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"dizuo")
                file.flush()
        except OSError as error:
            hint = f"check its permissions, or choose another place with {variable}"
            return broken(f"nothing can be written to {there} ({name}): {error.strerror}", hint=hint)
        free[name] = shutil.disk_usage(there).free
    text = ", ".join(f"{count / 1e9:.1f} GB for {name}" for name, count in free.items())
    hint = "free some with: dizuo cache ls; or move the cache with DIZUO_HOME, temporary files with TMPDIR"
    least = min(free.values())
    return broken(text, hint=hint) if least < NONE else look(text, hint=hint) if least < LITTLE else well(text)


CHECK = Check(title="disk", order=60, check=check)
