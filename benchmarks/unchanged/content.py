"""What a file holds, as JSON to be compared: tensors and arrays by digest, JSON by value, pages without numbers."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["content", "contents", "json_lines"]

_TIMED = (".json", ".jsonl", ".html", ".md")
"""Endings of files that may hold seconds: their digest and size in a manifest say nothing."""
_DURATION = re.compile(r"(?:under a second|(?:\d+ min|\d+ h) \d+ (?:s|min)|\d+(?:\.\d+)? (?:s|ms))(?!\w)")
_NUMBER = re.compile(r"\d+([.,]\d+)*(e[-+]?\d+)?")


def contents(folder: Path, *patterns: str, but: Iterable[str] = ()) -> dict[str, Any]:
    """Return the content of the files below a folder by their place in it; at least one must be there."""
    paths = {path for pattern in patterns or ("**/*",) for path in folder.glob(pattern) if path.is_file()}
    paths -= {path for pattern in but for path in folder.glob(pattern)}
    if not paths:
        raise FileNotFoundError(f"nothing in {folder} is like {', '.join(patterns)}")
    return {path.relative_to(folder).as_posix(): content(path) for path in sorted(paths)}


def content(path: Path) -> Any:
    """Return what a file holds."""
    match path.suffix:
        case ".json":
            return _without_seconds(path.name, json.loads(path.read_text("utf-8")))
        case ".jsonl":
            return json_lines(path)
        case ".safetensors":
            return _tensors(path)
        case ".npz":
            with zipfile.ZipFile(path) as whole:
                return {name: _digest(whole.read(name)) for name in sorted(whole.namelist())}
        case ".html" | ".md":
            return _NUMBER.sub("#", _DURATION.sub("TIME", path.read_text("utf-8")))
        case ".yaml" | ".txt" | ".jinja":
            return path.read_text("utf-8")
    return _digest(path.read_bytes())


def json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _tensors(path: Path) -> dict[str, Any]:
    """Return dtype, shape and digest of every tensor, and what the header says besides."""
    data = memoryview(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(bytes(data[8:start]))
    out: dict[str, Any] = {"metadata": header.pop("__metadata__", None)}
    for name, facts in sorted(header.items()):
        first, last = (start + offset for offset in facts["data_offsets"])
        out[name] = f"{facts['dtype']} {facts['shape']} {hashlib.sha256(data[first:last]).hexdigest()}"
    return out


def _without_seconds(name: str, value: Any) -> Any:
    """Return a file's values without what hangs off seconds: a report holds them, a bundle the report's digest."""
    match name, value:
        case "manifest.json", {"outputs": dict(outputs), "step": step, "inputs": dict(inputs)}:
            told = {name: "timed" if name.endswith(_TIMED) else facts for name, facts in outputs.items()}
            value = {**value, "outputs": told}
            return {**value, "key": "timed", "inputs": {**inputs, "report": "timed"}} if step == "deploy" else value
        case "bundle.json", {"files": {"report.json": _, **files}}:
            return {**value, "files": {**files, "report.json": "timed"}}
        case "release.json", {"digest": _}:
            return {**value, "digest": "timed"}
        case "report.json", {"verdict": str(verdict)}:
            return {**value, "verdict": _DURATION.sub("TIME", verdict)}
    return value
