"""A manifest says what a step was made from and what it left, so that the step is done once and never only seems done.

A step's folder holds `manifest.json`: the digest of every input, the resolved settings and where they came from,
the seed, versions, and every output with its sha256. Its `key` is the digest of inputs, settings and seed; a folder
whose key is the one wanted and whose outputs are as they were written is done.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dizuo.artifacts import digest_file, whole_folder, write_json
from dizuo.records import Json

__all__ = ["MANIFEST", "Work", "read_manifest"]

MANIFEST = "manifest.json"
NOTE = "key.json"
"""In a folder that is still being made: the key it is made for."""
FORMAT = 1
PACKAGES = ("dizuo", "torch", "transformers", "peft", "numpy", "scikit-learn")
BIG = 256 * 2**20
"""Bytes above which an output's size stands in for its digest when a step asks whether it is done."""


@dataclass(frozen=True, slots=True)
class Work:
    """Describes one step: where its folder is, and everything that its outcome depends on."""

    step: str
    """`select`, `prepare`, `train`, `evaluate` or `deploy`."""
    folder: Path
    inputs: Mapping[str, str]
    """Digest by name, such as `{"data": "sha256:…"}`."""
    settings: Mapping[str, Json]
    """The resolved options, as plain JSON values."""
    seed: int = 0
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where each setting's value came from; shown to people, not part of the key."""

    @property
    def key(self) -> str:
        """The digest of everything that the outcome depends on."""
        value = {"format": FORMAT, "step": self.step, "inputs": dict(self.inputs), "seed": self.seed}
        text = json.dumps({**value, "settings": dict(self.settings)}, sort_keys=True, ensure_ascii=False)
        return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"

    @property
    def partial(self) -> Path:
        """The folder in which a step that can be resumed keeps what it has, until it is whole."""
        return self.folder.with_name(self.folder.name + ".partial")

    def why(self, *, force: bool = False) -> str | None:
        """Return why the step has to run, or None when it is done."""
        if force:
            return "it was asked for"
        manifest = read_manifest(self.folder)
        if manifest is None:
            return "it has not run" if not self.partial.exists() else "it was interrupted"
        if manifest["key"] == self.key:
            return _damage(self.folder, manifest["outputs"])
        changed = [
            *_changes("input", manifest.get("inputs", {}), self.inputs),
            *_changes("", manifest.get("settings", {}), self.settings),
        ]
        if manifest.get("seed") != self.seed:
            changed.append(f"seed was {manifest.get('seed')}, is {self.seed}")
        return "; ".join(changed) or "it was made by another version of dizuo"

    @contextmanager
    def make_folder(self) -> Iterator[Path]:
        """Yield an empty folder that becomes the step's folder when the block ends well."""
        began = time.time()
        with whole_folder(self.folder, replace=True) as folder:
            yield folder
            self.write(folder, seconds=time.time() - began)

    @contextmanager
    def resume_folder(self) -> Iterator[Path]:
        """Yield a folder that stays where it is when the block fails, and is taken up again by the next try.

        What an earlier try left is kept only when it was for the same key; otherwise it is set aside once more
        as `….partial-old`.
        """
        note = self.partial / NOTE
        if self.partial.exists():
            try:
                same = json.loads(note.read_text(encoding="utf-8")) == self.key
            except (OSError, ValueError):
                same = False
            if not same:
                old = self.partial.with_name(self.partial.name + "-old")
                shutil.rmtree(old, ignore_errors=True)
                self.partial.rename(old)
        self.partial.mkdir(parents=True, exist_ok=True)
        write_json(note, self.key)
        began = time.time()
        yield self.partial
        self.write(self.partial, seconds=time.time() - began)
        retired = self.folder.with_name(f".{self.folder.name}.retired")
        shutil.rmtree(retired, ignore_errors=True)
        if self.folder.exists():
            self.folder.rename(retired)
        self.partial.rename(self.folder)
        (self.folder / NOTE).unlink()
        shutil.rmtree(retired, ignore_errors=True)

    def write(self, folder: Path, *, seconds: float) -> None:
        """Write the manifest of a folder whose outputs are all there."""
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (MANIFEST, NOTE))
        outputs: dict[str, Json] = {
            path.relative_to(folder).as_posix(): {"sha256": digest_file(path), "bytes": path.stat().st_size}
            for path in files
        }
        manifest: dict[str, Json] = {
            "format": FORMAT,
            "step": self.step,
            "key": self.key,
            "inputs": dict(self.inputs),
            "settings": dict(self.settings),
            "origins": dict(self.origins),
            "seed": self.seed,
            "versions": versions(),
            "outputs": outputs,
            "seconds": round(seconds, 3),
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        write_json(folder / MANIFEST, manifest)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return a step folder's manifest, or None where there is none that can be read."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(manifest, dict) and manifest.get("format") == FORMAT and "key" in manifest
    return manifest if known else None


def versions() -> dict[str, str]:
    """Return the versions that results depend on; nothing is imported."""
    out = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out


def _damage(folder: Path, outputs: Mapping[str, Mapping[str, Any]]) -> str | None:
    for name, fact in outputs.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != fact["bytes"]:
            return f"{name} was changed"
        if fact["bytes"] <= BIG and digest_file(path) != fact["sha256"]:
            return f"{name} was changed"
    return None


def _changes(prefix: str, old: Mapping[str, Json], new: Mapping[str, Json]) -> list[str]:
    out = []
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            digest = str(new.get(name)).startswith("sha256:") or str(old.get(name)).startswith("sha256:")
            label = f"{prefix} {name}".strip()
            out.append(f"{label} changed" if digest else f"{label} was {old.get(name)!r}, is {new.get(name)!r}")
    return out
