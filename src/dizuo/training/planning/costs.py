"""What a run will read and what it will cost. None of it changes the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dizuo.models import memory
from dizuo.training.planning.snapshot import JsonObject
from dizuo.training.tokens.counts import TokenCounts

if TYPE_CHECKING:
    from dizuo.models import ModelSpec

__all__ = ["BlockMemory", "Counts", "Estimates", "Measured", "WorstBlock"]

ERROR, ERROR_BYTES = 0.15, 150 * 10**6
"""How far an estimate of memory is from the truth at most, the larger of the two: a share and bytes. Held by
`tests/models/test_memory.py`."""
PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "process")
EXCESS = 0.4
"""How far too high that of DoRA on quantised weights may be: it is never too low, and the same run takes once much more
than at another time, as the heap's holes fall."""


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
    excess: float = ERROR
    """Share by which the estimate may be too high."""

    @classmethod
    def estimate(
        cls,
        spec: ModelSpec,
        counts: TokenCounts,
        *,
        tokens: int,
        adapter: str,
        rank: int,
        quantize: str,
        dtype: str,
        backend: str,
        optimizer: str,
        checkpoint_activations: bool,
        offload_activations: bool = False,
    ) -> BlockMemory:
        """Return what a run needs at its peak. The choice of blocks, the refusal and the doctor ask here and nowhere
        else.

        Args:
            spec: the model.
            counts: of the training tokens.
            tokens: of the largest block.
            adapter, rank, quantize, dtype, backend, optimizer, checkpoint_activations, offload_activations: the run's
                own values.
        """
        needed = memory.estimate(
            spec,
            method=adapter,
            tokens=tokens,
            sequence_length=counts.longest,
            trained_tokens=max(1, round(tokens * (counts.trained_tokens / counts.tokens))),
            dtype=dtype,
            rank=rank,
            quantize=quantize,
            backend=backend,
            checkpoint_activations=checkpoint_activations,
            offload_activations=offload_activations,
            optimizer=optimizer,
        )
        excess = EXCESS if adapter == "dora" and quantize != "none" else ERROR
        return cls(**asdict(needed), tokens=tokens, excess=excess)

    @property
    def surely(self) -> int:
        """Bytes that are needed even where the estimate is as far too high as it may be."""
        return max(0, min(int(self.total / (1 + self.excess)), self.total - ERROR_BYTES))

    @property
    def perhaps(self) -> int:
        """Bytes that may be needed where the estimate is as far too low as it may be."""
        return max(int(self.total * (1 + ERROR)), self.total + ERROR_BYTES)

    def parts(self) -> dict[str, int]:
        """Return the bytes of each part by name, the total left out."""
        return {name: size for name, size in asdict(self).items() if name in PARTS}


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
    peak: int | None = None
    """Bytes at the peak of a trial (`trial.py`), above the process after its imports; None where only time was
    measured."""

    def to_json(self) -> JsonObject:
        """Return plain JSON values; the peak is left out where there was no trial."""
        return _without_none(asdict(self))

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Return what `to_json` gave; other entries are passed over."""
        return cls(
            worst_block=WorstBlock(**value["worst_block"]),
            seconds_per_step=value["seconds_per_step"],
            seconds=value["seconds"],
            first_loss=value["first_loss"],
            peak=value.get("peak"),
        )


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
        del value["measured"]
        measured = {} if self.measured is None else self.measured.to_json()
        if not value.pop("layout_probed"):
            del value["layout_error_nats"]
        return {**value, **measured}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Estimates:
        """Return the estimates of what `to_json` gave."""
        measured = Measured.from_json(value) if "worst_block" in value else None
        return cls(
            memory=BlockMemory(**value["memory"]),
            disk=value["disk"],
            layout_error_nats=value.get("layout_error_nats"),
            layout_probed="layout_error_nats" in value,
            measured=measured,
        )


def _without_none(value: JsonObject) -> JsonObject:
    return {name: part for name, part in value.items() if part is not None}
