"""Every value that a run uses, as a typed field; and where each came from, beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from dizuo.records import Json
from dizuo.training.planning.snapshot import JsonObject

__all__ = [
    "Adapter",
    "Backend",
    "Device",
    "Dtype",
    "Layout",
    "Optimizer",
    "OverLength",
    "Quantize",
    "Schedule",
    "Settings",
    "Shard",
    "Value",
    "Why",
]

T = TypeVar("T")

Adapter: TypeAlias = Literal["lora", "dora", "rslora", "full"]
Backend: TypeAlias = Literal["native", "hosted", "padded"]
Device: TypeAlias = Literal["cpu", "cuda"]
Dtype: TypeAlias = Literal["float32", "bfloat16"]
Layout: TypeAlias = Literal["tree", "padded"]
Optimizer: TypeAlias = Literal["adamw", "adamw8bit"]
OverLength: TypeAlias = Literal["refuse", "cut_prompt", "cut_prompt_left"]
Quantize: TypeAlias = Literal["none", "nf4", "int8"]
Schedule: TypeAlias = Literal["cosine", "linear", "constant"]
Shard: TypeAlias = Literal["none", "fsdp2"]


@dataclass(frozen=True, slots=True)
class Why:
    """Where a value came from."""

    origin: str
    """`default`, `recipe`, `command line`, `call` (given in Python), `data`, `model`, `estimated` or `measured`."""
    why: str = ""
    """How it was chosen, where dizuo chose it."""

    def __str__(self) -> str:
        return f"{self.origin}: {self.why}" if self.why else self.origin


@dataclass(frozen=True, slots=True)
class Value(Generic[T]):
    """One resolved value on its way into the plan."""

    value: T
    origin: str
    """As in `Why`."""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run uses. Nothing here is open: `TrainOptions` says what may be left open and what each means."""

    method: str
    adapter: Adapter
    rank: int
    alpha: float
    dropout: float
    targets: str | tuple[str, ...]
    """`all-linear`, or names of layers."""
    quantize: Quantize
    num_outputs: int = 0
    """Outputs K of the head; 0 where the method has none."""
    learning_rate: float
    """The peak."""
    head_learning_rate: float | None = None
    """The head's peak; None where there is no head."""
    schedule: Schedule
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    optimizer: Optimizer
    batch_size: int
    """Examples of an optimizer step, over all ranks."""
    epochs: float
    num_examples: int
    """Examples over all steps."""
    num_steps: int
    max_length: int
    """Tokens that a sequence may have."""
    over_length: OverLength
    tokens_per_block: int
    layout: Layout
    backend: Backend
    dtype: Dtype
    """Of activations and products."""
    device: Device
    shard: Shard
    threads: int
    checkpoint_activations: bool
    offload_activations: bool
    checkpoint_every: int
    """Steps."""
    eval_every: int
    """Steps; 0 never evaluates."""
    patience: int | None
    """Evaluations; None never stops early."""
    keep: Literal["best", "last"]
    seed: int

    @property
    def head_scale(self) -> float:
        """The head's learning rate over that of the rest."""
        return 1.0 if self.head_learning_rate is None else self.head_learning_rate / self.learning_rate

    @classmethod
    def from_values(cls, values: Mapping[str, Json]) -> Settings:
        """Return the settings of plain JSON values by name.

        Raises:
            TypeError: a name is missing, or is not known.
        """
        given: dict[str, Any] = dict(values)
        if isinstance(given.get("targets"), list):
            given["targets"] = tuple(given["targets"])
        return cls(**given)

    def to_values(self) -> JsonObject:
        """Return plain JSON values by name; what only a head has is left out where there is none."""
        values: JsonObject = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()
        }
        if self.head_learning_rate is None:
            del values["num_outputs"], values["head_learning_rate"]
        return values


NAMES = frozenset(field.name for field in fields(Settings))
"""Every name that a plan may have a value for."""
