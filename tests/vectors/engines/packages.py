"""Pinned packages that carry database servers, unpacked once into `~/.cache/dizuo/engines`.

They are not installed into the tests' own environment: they are servers and bring nothing to import. The folder's
name has the version and the digest in it, so another pin never meets an old copy; a folder appears under its final
name only when it is whole.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from filelock import FileLock

MACHINE = f"{platform.system().lower()}-{platform.machine()}"
"""The wheels pinned here are those of `linux-x86_64`."""


class EngineUnavailable(Exception):
    """An engine cannot be had or started on this machine; the text says why."""


def cache() -> Path:
    """Return the folder of unpacked engines; tests that move DIZUO_HOME do not move it."""
    if named := os.environ.get("DIZUO_TEST_ENGINES"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dizuo" / "engines"


def wheel(name: str, version: str, sha256: str, *, python: str | None = None) -> Path:
    """Return the folder into which the wheel of exactly this digest was unpacked.

    Args:
        name: the distribution's name.
        version: its version.
        sha256: the digest of its wheel for Linux on x86-64.
        python: the Python the wheel is tagged for, such as `"3.11"`, where it carries a binary that any would run.
    """
    if MACHINE != "linux-x86_64":
        raise EngineUnavailable(f"{name} {version} is pinned for linux-x86_64 only, this machine is {MACHINE}")

    def fill(folder: Path) -> None:
        listing = folder / "requirements.txt"
        listing.write_text(f"{name}=={version} --hash=sha256:{sha256}\n")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(folder)]
        command += ["--python-version", python] if python else []
        _run([*command, "--requirement", str(listing)], f"{name} {version}")

    return _once(f"{name}-{version}-{sha256[:12]}", fill)


def npm(name: str, version: str) -> Path:
    """Return the folder that holds `node_modules` with this npm package and what it needs."""
    if shutil.which("npm") is None:
        raise EngineUnavailable(f"{name} {version} needs npm, which is not installed")

    def fill(folder: Path) -> None:
        # No package's install script runs: none of ours needs one, and they may download things of their own.
        command = ["npm", "install", "--no-fund", "--no-audit", "--ignore-scripts", "--prefix", str(folder)]
        _run([*command, f"{name}@{version}"], f"{name} {version}")

    return _once(f"npm-{name.replace('/', '-').lstrip('@')}-{version}", fill)


def unpacked(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache, filled by `fill` unless it is there."""
    return _once(name, fill)


def executable(paths: Iterable[Path]) -> None:
    """Let these files be run; a wheel may carry them without the bit."""
    for path in paths:
        if not os.access(path, os.X_OK):
            path.chmod(0o755)


def _once(name: str, fill: Callable[[Path], None]) -> Path:
    root = cache()
    final = root / name
    if final.is_dir():
        return final
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f"{name}.lock"):
        if final.is_dir():
            return final
        scratch = root / f"{name}.{os.getpid()}.part"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        try:
            fill(scratch)
            scratch.rename(final)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return final


def _run(command: list[str], what: str) -> None:
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
    if ran.returncode != 0:
        lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()]
        raise EngineUnavailable(f"{what} cannot be fetched: " + " | ".join(lines[-4:]))
