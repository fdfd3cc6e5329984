"""The package index that pip is set up for gives its list of files and a file."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from dizuo.artifacts import pip
from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, well
from dizuo.machine.surroundings import Surroundings

__all__ = ["CHECK", "SMALL"]

SMALL = "six"
"""A wheel of 11 kB that every index has."""


def check(surroundings: Surroundings) -> Finding:
    """Fetch a small wheel as `pypi:` addresses are fetched."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dizuo-doctor-") as folder:
        (path,) = pip.download([SMALL], Path(folder) / "index", fresh=True)
        size, name = path.stat().st_size, path.name
    return well(f"{name} ({size:,} bytes) came in {time.monotonic() - began:.1f} s")


CHECK = Check(title="package index", order=10, check=check, seconds=20.0)
