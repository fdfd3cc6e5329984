"""What a user may say about training. Every field left at None is chosen by `plan`, which shows why."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal

from dizuo.errors import PlanError, did_you_mean
from dizuo.records import Json

__all__ = ["TrainOptions"]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Options of one training run.

    Raises:
        PlanError: values that no run could use, all of them at once.
    """

    method: str = "sft"
    """Name of a file in `training/methods/`, such as `sft`."""
    adapter: Literal["lora", "dora", "rslora", "full"] = "lora"
    """`lora` trains low-rank adapters on a frozen model, `dora` a magnitude per row besides, `rslora` scales by the
    root of the rank (for high ranks), `full` trains every weight."""
    quantize: Literal["none", "nf4", "int8"] = "none"
    """Holds the frozen weights below an adapter in 4 bits (`nf4`, QLoRA) or 8 (`int8`), to save memory. What they
    dequantise to is what is trained on, merged and served. `nf4` needs bitsandbytes."""
    rank: int | None = None
    """LoRA rank. None is chosen from the trained tokens and the model's size: 16, unless so many tokens say more than
    that many weights can hold."""
    alpha: float | None = None
    """LoRA numerator: the update is scaled by alpha / rank (`rslora`: alpha / √rank). None is 2 × rank (`rslora`: 8,
    the same at rank 16)."""
    dropout: float = 0.0
    """Dropout on the adapters' input, 0 to below 1. Above 0 batches run padded, since shared tokens would share it."""
    targets: str | tuple[str, ...] = "all-linear"
    """Which layers get adapters: `all-linear` (all linear layers but the output layer), or names such as `q_proj`. The
    output layer itself takes none."""
    learning_rate: float | None = None
    """Peak learning rate. None is chosen from adapter and model size."""
    head_learning_rate: float | None = None
    """Peak rate of the head, for methods with one; schedule and warm-up are those of the rest. None is chosen
    from model size."""
    epochs: float | None = None
    """Passes over the training rows. None is chosen from the number of rows."""
    max_steps: int | None = None
    """Stop after this many optimizer steps, and let the schedule end there."""
    batch_size: int | None = None
    """Sequences per optimizer step (pairs, for methods that train pairs), over all ranks. None is chosen from the
    number of rows: 16, or fewer where an epoch would have few steps."""
    tokens_per_block: int | None = None
    """Tokens of one forward and backward pass, after sharing. None is what half the memory holds, at most 4,096."""
    warmup_ratio: float = 0.05
    """Share of the steps over which the learning rate rises from 0, 0 to below 1."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls to 0 after the warm-up."""
    weight_decay: float = 0.0
    """AdamW's decoupled decay, on matrices only."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm; 0 turns clipping off."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Dtype of activations and products. Trained weights are float32 always. `auto` is bfloat16 where the processor
    has instructions for it."""
    max_length: int | None = None
    """Longest sequence in tokens. None is the model's context length."""
    over_length: Literal["refuse", "cut_prompt", "cut_prompt_left"] = "refuse"
    """Rows longer than that: refused with their lines, or their prompt is cut in the middle (`cut_prompt`) or at the
    start (`cut_prompt_left`, keeping its first token). A target is never cut."""
    seed: int = 0
    """All randomness hangs off it: adapter initialisation, order of rows, dropout."""
    checkpoint_every: int | None = None
    """Steps between checkpoints. None is a tenth of the run, at most 200."""
    eval_every: int | None = None
    """Steps between evaluations on the validation split. None is a quarter of the run; 0 never evaluates."""
    patience: int | None = None
    """Stop after this many evaluations in a row without a better one. None never stops early. It needs a validation
    split and evaluations (`eval_every` above 0)."""
    keep: Literal["best", "last"] = "best"
    """Which weights the run ends with, where there is a validation split."""
    layout: Literal["auto", "tree", "padded"] = "auto"
    """`tree` computes every shared prefix once, `padded` computes each sequence. `auto` measures."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs. `auto` is a GPU where torch sees one."""
    shard: Literal["none", "fsdp2"] = "none"
    """`fsdp2` spreads weights, gradients and optimizer states over the ranks of a launch (PyTorch's FSDP2), for models
    that do not fit one device; batches then run hosted or padded. `none` keeps them whole on every rank."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """`adamw8bit` keeps AdamW's two moments in 8 bits (bitsandbytes, on a GPU): 2 bytes per trained weight, not 8."""
    checkpoint_activations: bool | None = None
    """Compute each layer's activations again in the backward pass instead of keeping them: less memory, about a third
    more time. None does so where the largest block would not fit otherwise."""
    offload_activations: bool | None = None
    """With `checkpoint_activations` on a GPU: what goes into each layer waits in the CPU's memory for the backward
    pass. None does so where the largest block would not fit otherwise."""
    threads: int | None = None
    """CPU threads, which the ranks of one machine share. None is what torch chooses here."""
    allow_different_machine: bool = False
    """Resume although the processor, thread count or library versions changed; the result is then no longer bitwise
    that of an uninterrupted run."""

    def __post_init__(self) -> None:
        faults = self._faults()
        if len(faults) == 1:
            raise PlanError(faults[0])
        if faults:
            raise PlanError(f"{len(faults)} training options cannot work", details=faults)

    def _faults(self) -> list[str]:
        faults: list[str] = []
        for name, low, what in (
            ("rank", 1, "columns"),
            ("max_steps", 1, "optimizer steps"),
            ("batch_size", 1, "sequences"),
            ("tokens_per_block", 16, "tokens"),
            ("max_length", 2, "tokens"),
            ("seed", 0, ""),
            ("checkpoint_every", 1, "steps"),
            ("eval_every", 0, "steps"),
            ("patience", 1, "evaluations"),
            ("threads", 1, "threads"),
        ):
            value = getattr(self, name)
            if value is None and name != "seed":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                faults.append(f"{name} must be a whole number{what and ' of '}{what}, at least {low}, not {value!r}")
        for name in ("learning_rate", "head_learning_rate", "epochs", "alpha"):
            value = getattr(self, name)
            if value is not None and not (_number(value) and value > 0):
                faults.append(f"{name} must be a number above 0, not {value!r}")
        for name in ("weight_decay", "max_grad_norm"):
            value = getattr(self, name)
            if not (_number(value) and value >= 0):
                faults.append(f"{name} must be a number, at least 0, not {value!r}")
        for name in ("dropout", "warmup_ratio"):
            value = getattr(self, name)
            if not (_number(value) and 0 <= value < 1):
                faults.append(f"{name} must be at least 0 and below 1, not {value!r}")
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                faults.append(
                    f"{name} must be one of {', '.join(choices)}, not {value!r}{did_you_mean(str(value), choices)}"
                )
        if not self.targets or (isinstance(self.targets, str) and self.targets != "all-linear"):
            faults.append(f"targets must be all-linear or a list of layer names, not {self.targets!r}")
        if self.dropout and self.layout == "tree":
            faults.append("dropout above 0 is not exact where tokens are shared: use layout auto or padded with it")
        if self.quantize != "none" and self.adapter == "full":
            faults.append(
                f"quantize {self.quantize} freezes the weights, and adapter full trains them: use lora with it"
            )
        for name in ("checkpoint_activations", "offload_activations"):
            if not isinstance(getattr(self, name), bool | None):
                faults.append(f"{name} must be true or false, not {getattr(self, name)!r}")
        if self.offload_activations and self.checkpoint_activations is False:
            faults.append(
                "offload_activations moves what checkpoint_activations keeps: leave checkpoint_activations out"
            )
        if self.patience is not None and self.eval_every == 0:
            faults.append(
                "patience counts evaluations, and eval_every 0 makes none: leave eval_every open, or patience"
            )
        return faults

    def as_dict(self) -> dict[str, Json]:
        """Return plain JSON values."""
        values: dict[str, Json] = {item.name: getattr(self, item.name) for item in fields(self)}
        values["targets"] = self.targets if isinstance(self.targets, str) else list(self.targets)
        return values


CHOICES: dict[str, tuple[str, ...]] = {
    "adapter": ("lora", "dora", "rslora", "full"),
    "quantize": ("none", "nf4", "int8"),
    "schedule": ("cosine", "linear", "constant"),
    "dtype": ("auto", "float32", "bfloat16"),
    "over_length": ("refuse", "cut_prompt", "cut_prompt_left"),
    "keep": ("best", "last"),
    "layout": ("auto", "tree", "padded"),
    "device": ("auto", "cpu", "cuda"),
    "shard": ("none", "fsdp2"),
    "optimizer": ("adamw", "adamw8bit"),
}


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
