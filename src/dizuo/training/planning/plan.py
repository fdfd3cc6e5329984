"""The plan: every value that a run uses, where each came from, and what it will cost. Written once, then read.

plan.use.learning_rate             a value, typed
plan.why["learning_rate"]          where it came from
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dizuo.artifacts.writing import write_json
from dizuo.errors import PlanError
from dizuo.models import ModelSpec
from dizuo.training.method import MethodOptions
from dizuo.training.methods import METHODS
from dizuo.training.planning.costs import Counts, Estimates
from dizuo.training.planning.machine import Machine
from dizuo.training.planning.request import Request
from dizuo.training.planning.settings import NAMES, Settings, Why
from dizuo.training.planning.snapshot import JsonObject, Snapshot

__all__ = ["Plan"]

VERSION = 4
"""Of plan.json; another number is not read."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a training run will do."""

    folder: Path
    """The run's folder."""
    model: ModelSpec
    use: Settings
    """Every value that the run uses."""
    why: Mapping[str, Why]
    """Where each came from, by its name, in the order in which they were resolved."""
    method_values: JsonObject
    """The method's own options as plain JSON values; `method_options` has them typed."""
    inputs: Mapping[str, str]
    """Digests: `model`, `data.train`, `data.validation`, `tokens.train`, `tokens.validation`."""
    request: Request
    """What was asked for, before anything was chosen; equal requests get the plan that is already there."""
    counts: Counts
    """Examples, sequences, tokens (summed and as a tree), trained tokens, cut rows; per split."""
    estimates: Estimates
    """Memory in bytes, the worst block as it was measured, seconds. None of it changes the result."""
    machine: Machine
    """Processor, threads, library versions at planning."""
    notes: tuple[str, ...] = ()
    """What a user should know before starting, such as prompts that were cut."""
    allow_different_machine: bool = False
    """Whether `train` may go on from a checkpoint of another machine; not written."""
    digest: str = field(default="")
    """SHA-256 over method options, values and inputs: two plans with equal digests train the same weights."""

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", self._digest())

    @property
    def method_options(self) -> MethodOptions:
        """The method's own options.

        Raises:
            PlanError: the method is not installed.
        """
        options: MethodOptions = METHODS.load(self.use.method).Options(**self.method_values)
        return options

    def with_use(self, use: Settings) -> Plan:
        """Return the plan with other values; it gets a digest of its own."""
        return replace(self, use=use, digest="")

    def trained(self) -> Snapshot:
        """Return all that decides which weights are trained: inputs, values and method options."""
        values = self.use.to_values()
        return Snapshot({"inputs": dict(self.inputs), "values": values, "method_options": self.method_values})

    def write(self) -> None:
        """Write plan.json into the run's folder; the folder's own name is left out, so that a run can be moved."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "plan.json", self.to_json())

    def to_json(self) -> JsonObject:
        """Return what plan.json holds."""
        values = self.use.to_values()
        return {
            "version": VERSION,
            "digest": self.digest,
            "model": self.model.to_json(),
            "method_options": self.method_values,
            "values": {name: {"value": values[name], **asdict(why)} for name, why in self.why.items()},
            "inputs": dict(self.inputs),
            "request": self.request.to_json(),
            "counts": self.counts.to_json(),
            "estimates": self.estimates.to_json(),
            "machine": self.machine.to_json(),
            "notes": list(self.notes),
        }

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
            plan = cls._of(folder, raw)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise PlanError(f"{path} cannot be read: {type(error).__name__}: {error}", hint=hint) from None
        if plan._digest() != plan.digest:
            raise PlanError(f"{path} was changed after it was written: its digest does not fit its values", hint=hint)
        return plan

    @classmethod
    def _of(cls, folder: Path, raw: Mapping[str, Any]) -> Plan:
        unknown = raw["values"].keys() - NAMES
        if unknown:
            raise ValueError(f"it has values that this dizuo does not know: {', '.join(sorted(unknown))}")
        return cls(
            folder=folder,
            model=ModelSpec.from_json(raw["model"]),
            use=Settings.from_values({name: entry["value"] for name, entry in raw["values"].items()}),
            why={name: Why(entry["origin"], entry["why"]) for name, entry in raw["values"].items()},
            method_values=raw["method_options"],
            inputs=raw["inputs"],
            request=Request(Snapshot(raw["request"])),
            counts=Counts.from_json(raw["counts"]),
            estimates=Estimates.from_json(raw["estimates"]),
            machine=Machine.from_json(raw["machine"]),
            notes=tuple(raw["notes"]),
            digest=raw["digest"],
        )

    def _digest(self) -> str:
        text = json.dumps(self.trained().to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
