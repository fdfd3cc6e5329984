"""What a run will read and what it will cost. None of it changes the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dizuo.training.planning.snapshot import JsonObject
from dizuo.training.tokens.counts import TokenCounts

__all__ = ["BlockMemory", "Counts", "Estimates", "Measured", "WorstBlock"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Tokens of the splits, and of an epoch and a step: summed over sequences, and packed as trees."""

    train: TokenCounts
    validation: TokenCounts | None = None
    tokens_per_epoch: int
    packed_tokens_per_epoch: int
    tokens_per_step: int
    packed_tokens_per_step: int

    def to_json(self) -> JsonObject:
        """Return plain JSON values; a split that is not there is left out."""
        return _without_none(asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Counts:
        """Return the counts of what `to_json` gave."""
        splits = {name: TokenCounts(**value[name]) for name in ("train", "validation") if name in value}
        return cls(**{**value, **splits})


@dataclass(frozen=True, slots=True)
class BlockMemory:
    """Estimated bytes at the peak of a step whose largest block has `tokens` tokens; see `models.memory`."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    process: int
    total: int
    tokens: int = 0

    def parts(self) -> dict[str, int]:
        """Return the bytes of each part by name, the total left out."""
        return {name: size for name, size in asdict(self).items() if name not in ("total", "tokens")}


@dataclass(frozen=True, slots=True)
class WorstBlock:
    """The largest block that can run, as it was tried."""

    examples: int
    tokens: int
    packed_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What running the worst block and two usual steps showed."""

    worst_block: WorstBlock
    seconds_per_step: float
    seconds: float
    """Of the whole run."""
    first_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Memory in bytes, disk in bytes, and what was measured."""

    memory: BlockMemory
    disk: int
    layout_error_nats: float | None = None
    """Largest difference of a log-probability between a tree and its sequences one by one, on the probe."""
    layout_probed: bool = True
    """Whether a layout was probed; with dropout every batch is padded, without a probe."""
    measured: Measured | None = None
    """None where nothing was run."""

    def to_json(self) -> JsonObject:
        """Return plain JSON values; what was not measured is left out."""
        value = asdict(self)
        measured = value.pop("measured") or {}
        if not value.pop("layout_probed"):
            del value["layout_error_nats"]
        return {**value, **measured}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Estimates:
        """Return the estimates of what `to_json` gave."""
        measured = None
        if "worst_block" in value:
            measured = Measured(
                worst_block=WorstBlock(**value["worst_block"]),
                seconds_per_step=value["seconds_per_step"],
                seconds=value["seconds"],
                first_loss=value["first_loss"],
            )
        return cls(
            memory=BlockMemory(**value["memory"]),
            disk=value["disk"],
            layout_error_nats=value.get("layout_error_nats"),
            layout_probed="layout_error_nats" in value,
            measured=measured,
        )


def _without_none(value: JsonObject) -> JsonObject:
    return {name: part for name, part in value.items() if part is not None}
