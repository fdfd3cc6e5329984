"""The two ways to advance sequences by one step: packed together, or one at a time with the model's own cache.

Packed is chosen when it is measured to be exact on the model's own weights, at load. Everything else (attention
that bypasses transformers' interface, recurrent state, position-dependent rotary factors) runs one sequence at a
time: slower, and right by construction.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from dizuo.engines.kinds.embedded import packed
from dizuo.errors import ModelError
from dizuo.trees.capability import refusal

__all__ = ["Backend", "Work", "choose"]

PROBE_BOUND = {torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
"""Largest difference of a log-probability (nats) between packed and single sequences on the probe. Real fp32 models
stay below 1e-4; a leak between sequences or a lost window shows up as 0.1 and more."""


class Memory(Protocol):
    """What a sequence has read so far."""

    length: int


@dataclass(slots=True)
class Work:
    """New tokens of one sequence."""

    ids: Sequence[int]
    memory: Any
    wanted: bool


class Backend(Protocol):
    """Advances sequences."""

    name: str

    def new(self) -> Memory:
        """Return an empty memory."""

    def fork(self, memory: Any, length: int) -> Memory | None:
        """Return a copy of a memory's first tokens, or None where that cannot be done."""

    def step(self, works: Sequence[Work]) -> Tensor:
        """Read the new tokens; return [R, V] float32 logits of the works that want them."""


class Packed:
    """All sequences in one pass."""

    name = "packed"

    def __init__(self, base: Any) -> None:
        self.base = base
        self.layers = base.config.get_text_config().num_hidden_layers

    def new(self) -> packed.Cache:
        return packed.Cache()

    def fork(self, memory: packed.Cache, length: int) -> packed.Cache:
        return memory.fork(length)

    def step(self, works: Sequence[Work]) -> Tensor:
        if self.base.config._attn_implementation != packed.NAME:
            self.base.set_attn_implementation(packed.NAME)
        pieces = [packed.Piece(work.ids, work.memory, work.wanted) for work in works]
        return packed.forward(self.base, pieces, expected_layers=self.layers)


@dataclass(slots=True)
class _Single:
    length: int = 0
    cache: Any = None
    unread: list[int] = field(default_factory=list)


CACHE_NAMES = ("past_key_values", "cache_params", "state")
"""What models call the memory they take and give back: attention, state space, RWKV."""


class Single:
    """One sequence after the other, each with the cache that transformers makes for this model.

    A prompt is read whole, when its last chunk has come: recurrent models cannot all go on from a state by more than
    one token.
    """

    name = "single"

    def __init__(self, base: Any, attention: str) -> None:
        self.base = base
        self.attention = attention
        taken = inspect.signature(base.forward).parameters
        known = [name for name in CACHE_NAMES if name in taken]
        if not known:
            raise ModelError(f"{type(base).__name__} keeps no memory between tokens that is known here")
        self.cache_name = known[0]

    def new(self) -> _Single:
        return _Single()

    def fork(self, memory: _Single, length: int) -> None:
        return None

    def step(self, works: Sequence[Work]) -> Tensor:
        if self.base.config._attn_implementation != self.attention:
            self.base.set_attn_implementation(self.attention)
        device = next(self.base.parameters()).device
        rows = []
        for work in works:
            memory: _Single = work.memory
            memory.unread += work.ids
            memory.length += len(work.ids)
            if not work.wanted:
                continue
            ids, memory.unread = memory.unread, []
            given = {} if memory.cache is None else {self.cache_name: memory.cache}
            out = self.base(input_ids=torch.tensor([ids], device=device), use_cache=True, logits_to_keep=1, **given)
            memory.cache = out[self.cache_name]
            rows.append(out.logits[0, -1].float())
        return torch.stack(rows) if rows else torch.empty(0, 0)


def choose(base: Any) -> tuple[Backend, str]:
    """Return the fastest backend that is exact on this model's weights, and why it was chosen.

    Args:
        base: a transformers causal language model in eval mode, adapters already inside or not.
    """
    attention = str(base.config._attn_implementation)
    single = Single(base, "sdpa" if attention == packed.NAME else attention)
    why = refusal(base)
    if why is None:
        try:
            error = _difference(base, single)
        except (ModelError, AttributeError, TypeError, NotImplementedError) as fault:
            why = f"packed attention failed on the probe: {fault}"
        else:
            bound = PROBE_BOUND[base.dtype]
            if error <= bound:
                return Packed(base), f"packed equals single sequences on the probe within {error:.1e} nats"
            why = f"packed differs from single sequences by {error:.1e} nats on the probe"
    return single, why


@torch.inference_mode()
def _difference(base: Any, single: Single) -> float:
    """Prompts of 7, 1 and 40 tokens, read in one packed step and in chunks, then one token more."""
    generator = torch.Generator().manual_seed(20_26)
    vocabulary = base.config.get_text_config().vocab_size
    draw = torch.randint(min(10, vocabulary - 1), vocabulary, (48,), generator=generator).tolist()
    prompts = [draw[:7], draw[7:8], draw[8:48]]
    together = Packed(base)
    memories = [together.new() for _ in prompts]
    first = together.step([Work(p[:-1] or p, m, False) for p, m in zip(prompts, memories)])
    assert not len(first)
    ours = together.step([Work(p[-1:], m, True) for p, m in zip(prompts, memories) if len(p) > 1])
    theirs = torch.cat([single.step([Work(p, single.new(), True)]) for p in prompts if len(p) > 1])
    return float((torch.log_softmax(ours, -1) - torch.log_softmax(theirs, -1)).abs().max())
