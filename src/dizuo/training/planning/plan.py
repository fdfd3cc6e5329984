"""The plan: every value a run uses, where each came from, and what it will cost. Written once, then read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dizuo.artifacts.writing import write_json
from dizuo.errors import PlanError
from dizuo.models import ModelSpec

__all__ = ["Plan", "Value", "request_differences"]

VERSION = 4
"""Of plan.json; another number is not read."""


@dataclass(frozen=True, slots=True)
class Value:
    """One resolved value."""

    value: Any
    origin: str
    """`default`, `recipe`, `command line`, `call` (given in Python), `data`, `model` or `measured`."""
    why: str = ""
    """How it was chosen, where dizuo chose it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training run will do.

    `plan["learning_rate"]` is a resolved value; `plan.values` has them with origin and reason.
    """

    folder: Path
    """The run's folder."""
    model: ModelSpec
    method_options: Mapping[str, Any]
    values: Mapping[str, Value]
    inputs: Mapping[str, str]
    """Digests: `model`, `data.train`, `data.validation`, `tokens.train`, `tokens.validation`."""
    request: Mapping[str, Any]
    """What was asked for, before anything was chosen; equal requests get the plan that is already there."""
    counts: Mapping[str, Any]
    """Examples, sequences, tokens (summed and as a tree), trained tokens, cut rows; per split."""
    estimates: Mapping[str, Any]
    """Memory in bytes, the worst block as it was measured, seconds. None of it changes the result."""
    machine: Mapping[str, Any]
    """Processor, threads, library versions at planning."""
    launch: tuple[str, ...] = ()
    """The command that trains this plan."""
    notes: tuple[str, ...] = ()
    """What a user should know before starting, such as prompts that were cut."""
    allow_different_machine: bool = False
    """Whether `train` may go on from a checkpoint of another machine; not written."""
    digest: str = field(default="")
    """SHA-256 over method options, values and inputs: two plans with equal digests train the same weights."""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", self._digest())

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def _digest(self) -> str:
        same = {
            "method_options": dict(self.method_options),
            "values": {name: value.value for name, value in self.values.items()},
            "inputs": dict(self.inputs),
        }
        text = json.dumps(same, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values; the folder is left out, so that a run can be moved."""
        return {
            "version": VERSION,
            "digest": self.digest,
            "model": self.model.to_json(),
            "method_options": dict(self.method_options),
            "values": {name: asdict(value) for name, value in self.values.items()},
            "inputs": dict(self.inputs),
            "request": dict(self.request),
            "counts": dict(self.counts),
            "estimates": dict(self.estimates),
            "machine": dict(self.machine),
            "launch": list(self.launch),
            "notes": list(self.notes),
        }

    def write(self) -> None:
        """Write plan.json into the run's folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "plan.json", self.to_json())

    @classmethod
    def read(cls, folder: str | Path) -> Plan | None:
        """Return the plan in a folder, or None where there is none.

        Raises:
            PlanError: plan.json cannot be read, or was changed by hand.
        """
        folder = Path(folder)
        path = folder / "plan.json"
        if not path.exists():
            return None
        hint = f"delete {path} and plan again"
        try:
            raw = json.loads(path.read_text("utf-8"))
            if raw["version"] != VERSION:
                raise PlanError(f"{path} has version {raw['version']}, this dizuo reads {VERSION}", hint=hint)
            plan = cls(
                folder=folder,
                model=ModelSpec.from_json(raw["model"]),
                method_options=raw["method_options"],
                values={name: Value(**value) for name, value in raw["values"].items()},
                inputs=raw["inputs"],
                request=raw["request"],
                counts=raw["counts"],
                estimates=raw["estimates"],
                machine=raw["machine"],
                launch=tuple(raw["launch"]),
                notes=tuple(raw["notes"]),
                digest=raw["digest"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise PlanError(f"{path} cannot be read: {type(error).__name__}: {error}", hint=hint) from None
        if plan._digest() != plan.digest:
            raise PlanError(f"{path} was changed after it was written: its digest does not fit its values", hint=hint)
        return plan


def request_differences(there: Mapping[str, Any], here: Mapping[str, Any], *, prefix: str = "") -> list[str]:
    """Return one line per entry that differs, as in `options.rank: 16 there, 8 now`."""
    out: list[str] = []
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += request_differences(old, new, prefix=f"{prefix}{name}.")
        elif old != new:
            out.append(f"{prefix}{name}: {_shown(old)} there, {_shown(new)} now")
    return out


def _shown(value: Any) -> str:
    if value is None:
        return "not set"
    text = str(value)
    return text[:19] if text.startswith("sha256:") else text
