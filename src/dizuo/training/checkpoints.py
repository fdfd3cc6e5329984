"""Checkpoints: everything a run needs to go on as if it had never stopped, in safetensors and JSON.

    checkpoints/step-00000040/
        weights.safetensors     what is trained, float32
        optimizer.safetensors   AdamW's moments and step counts
        state.json              step, best evaluation, random states, digests, machine, sha256 of the two files

A checkpoint is written beside its final name, flushed to disk and renamed, so that a kill at any moment leaves the
earlier ones untouched and no half one that looks whole. The last two stay, and the best.
"""

from __future__ import annotations

import base64
import contextlib
import json
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from dizuo.artifacts.digests import digest_file
from dizuo.artifacts.writing import whole_folder, write_json
from dizuo.errors import TrainingError
from dizuo.events import Warned, Watcher, ignore
from dizuo.training.planning.facts import Facts
from dizuo.training.planning.snapshot import JsonObject

__all__ = ["Checkpoint", "Checkpoints", "State", "capture_random_state", "restore_random_state"]

FILES = ("weights.safetensors", "optimizer.safetensors")
KEPT = 2
"""Whole checkpoints kept besides the best."""


@dataclass(slots=True)
class State:
    """Where a run stands after `step` optimizer steps."""

    step: int = 0
    best_step: int | None = None
    best_score: float | None = None
    """Of the best evaluation, higher is better."""
    worse_evaluations: int = 0
    """Evaluations in a row since the best one."""
    stopped: str | None = None
    """Why the run stopped before its last step."""
    seconds: float = 0.0
    """Time in the loop so far, over all starts: steps, evaluations and checkpoints that count."""
    facts: Facts | None = None
    """What must be the same to resume; None before the first checkpoint."""

    def to_json(self) -> JsonObject:
        """Return plain JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "facts"}
        return {**values, "facts": {} if self.facts is None else self.facts.to_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> State:
        """Return the state of what `to_json` gave."""
        facts = value["facts"]
        return cls(**{**value, "facts": Facts.from_json(facts) if facts else None})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One whole checkpoint on disk."""

    folder: Path
    state: State
    random: dict[str, Any]

    def weights(self) -> dict[str, Tensor]:
        """Return the trained weights by name, float32."""
        tensors: dict[str, Tensor] = load_file(self.folder / FILES[0])
        return tensors

    def optimizer(self) -> dict[str, Tensor]:
        """Return the optimizer's tensors as `name/slot`."""
        tensors: dict[str, Tensor] = load_file(self.folder / FILES[1])
        return tensors


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: the run's `checkpoints` folder; it need not exist.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def steps(self) -> list[int]:
        """Return the steps that have a checkpoint, ascending."""
        if not self.folder.is_dir():
            return []
        names = (re.fullmatch(r"step-(\d{8})", entry.name) for entry in self.folder.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def path(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self.folder / f"step-{step:08d}"

    def save(self, state: State, weights: dict[str, Tensor], optimizer: dict[str, Tensor]) -> Path:
        """Write a checkpoint, then remove those no longer needed."""
        final = self.path(state.step)
        with whole_folder(final, replace=True) as partial:
            for name, tensors in zip(FILES, (weights, optimizer), strict=True):
                save_file(tensors, partial / name)
            files = {name: digest_file(partial / name) for name in FILES}
            write_json(
                partial / "state.json", {"state": state.to_json(), "random": capture_random_state(), "files": files}
            )
        self._prune(state)
        return final

    def load(self, step: int) -> Checkpoint:
        """Read a checkpoint and verify its files.

        Raises:
            TrainingError: it is damaged.
        """
        folder = self.path(step)
        try:
            value = json.loads((folder / "state.json").read_text("utf-8"))
            damaged = [name for name, digest in value["files"].items() if digest_file(folder / name) != digest]
            state = State.from_json(value["state"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"checkpoint {folder} cannot be read: {error}", hint=f"delete {folder}") from None
        if damaged:
            raise TrainingError(f"checkpoint {folder} is damaged: {', '.join(damaged)}", hint=f"delete {folder}")
        return Checkpoint(folder, state, value["random"])

    def latest(self, *, watch: Watcher = ignore) -> Checkpoint | None:
        """Return the newest checkpoint that is whole; damaged ones are named to the watcher and passed over."""
        for step in reversed(self.steps()):
            try:
                return self.load(step)
            except TrainingError as error:
                watch(Warned(f"{error.message}; going on from the one before it"))
        return None

    def _prune(self, state: State) -> None:
        """Keep the newest and the best of those up to the one just saved; later ones are damaged, or it were not."""
        steps = self.steps()
        newest = [step for step in steps if step <= state.step][-KEPT:]
        keep = {*newest, state.best_step}
        for step in newest:
            # The one before the last may have another best, which resuming from it would need.
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                keep.add(json.loads((self.path(step) / "state.json").read_text("utf-8"))["state"]["best_step"])
        for step in steps:
            if step not in keep:
                # Renamed first: a kill while deleting must not leave half a folder under a checkpoint's name.
                dead = self.folder / f".dead-{step:08d}"
                shutil.rmtree(dead, ignore_errors=True)
                self.path(step).rename(dead)
        for dead in self.folder.glob(".dead-*"):
            shutil.rmtree(dead, ignore_errors=True)


def capture_random_state() -> dict[str, Any]:
    """Return the state of torch's, numpy's and Python's random generators as JSON values."""
    version, internal, gauss = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": base64.b64encode(torch.get_rng_state().numpy().tobytes()).decode("ascii"),
        "numpy": [str(kind), np.asarray(keys).tolist(), int(position), int(has_gauss), float(cached)],
        "python": [version, list(internal), gauss],
    }


def restore_random_state(value: dict[str, Any]) -> None:
    """Set the generators to what `capture_random_state` returned."""
    torch.set_rng_state(torch.frombuffer(bytearray(base64.b64decode(value["torch"])), dtype=torch.uint8))
    kind, keys, position, has_gauss, cached = value["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), position, has_gauss, cached))
    version, internal, gauss = value["python"]
    random.setstate((version, tuple(internal), gauss))
