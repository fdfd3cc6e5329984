"""The packages of this environment as a lock, and their wheels, from the index that pip is set up for."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from dizuo.artifacts import pip
from dizuo.artifacts.wheels import normalise
from dizuo.errors import ArtifactError
from dizuo.events import Watcher, ignore

__all__ = ["Lock", "fetch_wheels", "read_lock", "write_own_wheel"]


@dataclass(frozen=True, slots=True)
class Lock:
    """Every package of an environment with its version."""

    requirements: tuple[str, ...]
    """As `numpy==2.4.6`; dizuo itself is among them."""
    own: bool
    """Whether dizuo is installed from its sources, and its wheel is written here."""
    python: str
    """As `3.11`."""
    platform: str
    """As `linux-x86_64`."""
    bytes: int
    """What the packages take when they are installed; their wheels take less."""


def read_lock() -> Lock:
    """Return the packages of this environment.

    Raises:
        ArtifactError: one of them is in no index: it was installed from a folder or a repository.
    """
    command = [sys.executable, "-m", "pip", "freeze", "--disable-pip-version-check"]
    frozen = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if frozen.returncode != 0:
        raise ArtifactError("pip cannot say what is installed", hint=f"run: {sys.executable} -m pip freeze")
    lines = [line.strip() for line in frozen.stdout.splitlines() if line.strip() and not line.startswith("#")]
    pinned = [line for line in lines if re.fullmatch(r"[A-Za-z0-9._-]+==[\w.+!-]+", line)]
    own = f"dizuo=={distribution('dizuo').version}"
    from_index = any(normalise(line.partition("==")[0]) == "dizuo" for line in pinned)
    odd = [line for line in lines if line not in pinned and not _is_own(line)]
    if odd:
        raise ArtifactError(
            f"{len(odd)} packages of this environment are in no index",
            details=odd[:10],
            hint="install them from wheels, or leave the wheels out with --no-wheels",
        )
    requirements = tuple(sorted([*pinned, *([] if from_index else [own])], key=str.lower))
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Lock(requirements, not from_index, version, sysconfig.get_platform(), sum(map(_size, requirements)))


def fetch_wheels(lock: Lock, folder: Path, *, watch: Watcher = ignore) -> list[Path]:
    """Return the wheels of a lock, fetched into a new folder.

    Raises:
        ArtifactError: an index lacks one, or cannot be reached.
    """
    wanted = [line for line in lock.requirements if not (lock.own and line.startswith("dizuo=="))]
    wheels = pip.download(wanted, folder, watch=watch) if wanted else []
    if lock.own:
        (folder / "wheels").mkdir(parents=True, exist_ok=True)
        wheels.append(write_own_wheel(folder / "wheels"))
    return sorted(wheels)


def write_own_wheel(folder: Path) -> Path:
    """Write the wheel of this dizuo from its files, without any build tool; equal files give equal bytes."""
    import dizuo

    facts, home = distribution("dizuo"), Path(dizuo.__file__).parent
    stem = f"dizuo-{facts.version}"
    members = {
        f"dizuo/{path.relative_to(home).as_posix()}": path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    for name in ("METADATA", "entry_points.txt"):
        members[f"{stem}.dist-info/{name}"] = (facts.read_text(name) or "").encode()
    members[f"{stem}.dist-info/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: dizuo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = io.StringIO()
    for name, content in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.write(f"{name},sha256={digest},{len(content)}\n")
    record.write(f"{stem}.dist-info/RECORD,,\n")
    members[f"{stem}.dist-info/RECORD"] = record.getvalue().encode()
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    return path


def _is_own(line: str) -> bool:
    """Return whether a line of `pip freeze` is dizuo from a folder, as `-e /home/me/dizuo` or `dizuo @ file:///…`."""
    if line.startswith("dizuo @ "):
        return True
    place = line.removeprefix("-e ").strip()
    folder = Path(place.removeprefix("file://"))
    return line.startswith("-e ") and ("#egg=dizuo" in place or (folder / "src" / "dizuo" / "__init__.py").is_file())


def _size(requirement: str) -> int:
    """Return the bytes of an installed package, as its RECORD says."""
    try:
        return sum(file.size or 0 for file in distribution(requirement.partition("==")[0]).files or ())
    except PackageNotFoundError:
        return 0
