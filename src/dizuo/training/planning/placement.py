"""Where a run computes and what it keeps there: device, shards, optimizer states, activations; each with its reason."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from dizuo.training.planning.options import TrainOptions
from dizuo.training.planning.settings import Device, Optimizer, Shard, Value

if TYPE_CHECKING:
    from dizuo.training.planning.problems import Problems

__all__ = ["choose_checkpointing", "choose_device", "choose_offloading", "choose_optimizer", "choose_shard"]


def choose_device(options: TrainOptions, origin: str, problems: Problems) -> Value[Device]:
    """Return `cpu` or `cuda`."""
    if options.device == "auto":
        if torch.cuda.is_available():
            return Value("cuda", "measured", f"torch sees {torch.cuda.get_device_name()}")
        return Value("cpu", "measured", "torch sees no GPU")
    if options.device == "cuda" and not torch.cuda.is_available():
        seen = "" if torch.version.cuda else f" (torch {torch.__version__} was built without CUDA)"
        problems.add(
            f"device is cuda, but torch sees no GPU{seen}",
            hint="install torch for CUDA and check nvidia-smi, or leave device out",
        )
        return Value("cpu", origin)
    return Value(options.device, origin)


def choose_shard(options: TrainOptions, origin: str, problems: Problems) -> Value[Shard]:
    """Return `none` or `fsdp2`."""
    if options.shard == "fsdp2" and options.quantize != "none":
        problems.add(
            f"shard fsdp2 cannot spread weights that are quantised ({options.quantize}) over ranks",
            hint="leave one of the two out; an adapter on a quantised model needs little memory on each rank",
        )
    why = "spread over the ranks of a launch; one process keeps them whole" if options.shard == "fsdp2" else ""
    return Value(options.shard, origin, why)


def choose_optimizer(options: TrainOptions, origin: str, on: Device, problems: Problems) -> Value[Optimizer]:
    """Return `adamw` or `adamw8bit`; the latter needs bitsandbytes, a device that it works on, and whole weights."""
    if options.optimizer == "adamw8bit":
        why = _eight_bit_fault(on)
        if options.shard == "fsdp2":
            why = "its states are quantised in blocks, which shard fsdp2 would cut"
        if why is not None:
            problems.add(f"optimizer adamw8bit cannot work here: {why}", hint="use optimizer: adamw")
    return Value(options.optimizer, origin)


def _eight_bit_fault(on: str) -> str | None:
    """Return why 8-bit states cannot be updated on a device, or None: it is tried, since versions differ on CPUs."""
    if importlib.util.find_spec("bitsandbytes") is None:
        return 'the package bitsandbytes is not installed: pip install "bitsandbytes>=0.50"'
    try:
        weight = torch.nn.Parameter(torch.ones(64, 128, device=on))
        weight.grad = torch.ones_like(weight)
        importlib.import_module("bitsandbytes.optim").AdamW8bit([weight], lr=0.5).step()
        moved = float(weight.detach().mean())
    except Exception as error:  # a missing kernel says so in many ways
        return f"bitsandbytes has no 8-bit AdamW for {on}: {(str(error).splitlines() or [''])[0][:200]}"
    return None if abs(moved - 0.5) < 0.1 else f"bitsandbytes moves a weight to {moved:g} on {on}, which should be 0.5"


def choose_checkpointing(
    options: TrainOptions, origin: str, needed: Callable[[bool, bool], int], free: int
) -> Value[bool]:
    """Return whether a layer's activations are computed again in the backward pass instead of kept.

    Args:
        options: of the run.
        origin: where a given value came from.
        needed: bytes of the largest block; with or without computing again, and with what is kept offloaded.
        free: bytes there are.
    """
    if options.checkpoint_activations is not None:
        return Value(options.checkpoint_activations, origin)
    if options.offload_activations:
        return Value(True, "default", "offload_activations moves what it keeps")
    plain, small = needed(False, False), needed(True, options.offload_activations is None)
    if plain <= free:
        return Value(False, "estimated", "the largest block fits without it")
    if small > free:
        return Value(False, "estimated", "the largest block fits neither with nor without it")
    why = f"the largest block needs {plain / 1e9:,.1f} GB without it, {small / 1e9:,.1f} GB with it; "
    return Value(True, "estimated", why + f"{free / 1e9:.1f} GB are free")


def choose_offloading(
    options: TrainOptions, origin: str, *, on: str, again: bool, needed: Callable[[bool, bool], int], free: int
) -> Value[bool]:
    """Return whether what goes into each layer waits in the CPU's memory for the backward pass.

    Args:
        options: of the run.
        origin: where a given value came from.
        on: device of the run.
        again: whether activations are computed again.
        needed: as for `choose_checkpointing`.
        free: bytes there are on the device.
    """
    if on == "cpu":
        return Value(False, "default", "the run is in the CPU's memory already")
    if options.offload_activations is not None:
        return Value(options.offload_activations, origin)
    if not again:
        return Value(False, "default", "activations are kept where they are")
    kept, moved = needed(True, False), needed(True, True)
    if kept <= free or moved > free:
        return Value(False, "estimated", "the largest block fits without it" if kept <= free else "it would not help")
    why = f"the largest block needs {kept / 1e9:,.1f} GB without it, {moved / 1e9:,.1f} GB with it; "
    return Value(True, "estimated", why + f"{free / 1e9:.1f} GB are free")
