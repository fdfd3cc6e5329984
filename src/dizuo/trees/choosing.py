"""The layout is chosen here: as a token tree or padded, natively or hosted, whichever is the fastest exact way.

What a configuration rules out is refused first (`capability.py`). Then it is measured: a small batch, the probe, runs
as a tree and one sequence at a time on the model's real weights. A layout that differs by more than the bounds below is
not used, and the reason is kept in the `Choice`.

Shapes: L tokens of a sequence, W weighted tokens of the probe.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from dizuo.errors import ModelError
from dizuo.trees.capability import refusal
from dizuo.trees.model_parts import ModelParts
from dizuo.trees.native.decoder import unsupported
from dizuo.trees.outputs import Outputs
from dizuo.trees.tree import Sequences

__all__ = ["Backend", "Choice", "Layout", "LayoutRunner", "choose", "head_is_known"]

Layout = Literal["auto", "tree", "padded"]
Backend = Literal["auto", "native", "hosted"]

ISOLATION_BOUND = {torch.float64: 1e-5, torch.float32: 1e-3, torch.bfloat16: 0.25, torch.float16: 0.05}
"""Largest difference of a log-probability (nats) between the probe's tree and its sequences one by one. Real models
of 30 fp32 layers stay below 1e-4 (bf16: 0.06); a leak between sequences shows up as 0.1 and more in fp32, 1 in bf16.
transformers norms and rotates in float32 whatever the model's dtype, hence the bound for float64."""
AGREEMENT_BOUND = {torch.float64: 1e-5, torch.float32: 1e-3, torch.bfloat16: 0.5, torch.float16: 0.1}
"""Mean absolute difference (nats) from transformers itself in the weights' own dtype; SmolLM2-135M in bf16: 0.10."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a model runs, and why; it is written into the plan and not measured again."""

    layout: Literal["tree", "padded"]
    backend: Literal["native", "hosted", "padded"]
    reason: str
    error: float | None = None
    """Largest difference of a log-probability between the tree and single sequences, in nats, on the probe."""

    def as_dict(self) -> dict[str, str | float | None]:
        """Return plain JSON values."""
        return asdict(self)


class LayoutRunner(Protocol):
    """What choosing needs of a runner: one that can run a batch in any layout before one is chosen."""

    @property
    def parts(self) -> ModelParts:
        """The model."""

    @property
    def own_logits(self) -> bool:
        """Whether the model makes its logits in a way that is not known here."""

    def prepare(self, choice: Choice) -> None:
        """Make what a choice needs before its first pass."""

    def run(self, choice: Choice, sequences: Sequences, *, need_last: bool) -> Outputs:
        """Run a batch as a choice says."""


def choose(runner: LayoutRunner, *, layout: Layout = "auto", backend: Backend = "auto") -> Choice:
    """Return the first exact way to run a model: natively as a tree, hosted as a tree, padded.

    Args:
        runner: with the model.
        layout: `tree`, `padded`, or `auto` (tree where it is exact).
        backend: `native`, `hosted`, or `auto` (native where it is exact).

    Raises:
        ModelError: a layout or backend was asked for that this model cannot run exactly.
    """
    if layout == "padded":
        return Choice("padded", "padded", "asked for")
    parts = runner.parts
    why = refusal(parts.base)
    if why is None and runner.own_logits:
        why = "it changes its logits in a way that is not known here"
    if why is not None:
        if layout == "tree":
            raise ModelError(f"{parts.config.model_type} cannot run as a token tree: {why}", hint="use layout: auto")
        return Choice("padded", "padded", why)
    probe = _probe_sequences(parts.config)
    with _visible_adapters(parts.module):
        return _measure(runner, probe, layout, backend)


def _measure(runner: LayoutRunner, probe: Sequences, layout: Layout, backend: Backend) -> Choice:
    parts = runner.parts
    tried: list[str] = []
    reference_W = _probe_logprobs(runner, Choice("padded", "padded", "probe"), probe, one_by_one=True)
    names: list[Literal["native", "hosted"]] = ["native", "hosted"] if backend == "auto" else [backend]
    for name in names:
        reason = unsupported(parts.base) if name == "native" else None
        if reason is None:
            choice = Choice("tree", name, "measured")
            try:
                runner.prepare(choice)
                single_W = _probe_logprobs(runner, choice, probe, one_by_one=True)
                error = float((_probe_logprobs(runner, choice, probe) - single_W).abs().max())
                departure = float((single_W - reference_W).abs().mean())
            except ModelError as fault:
                reason = str(fault)
            else:
                if error <= ISOLATION_BOUND[parts.dtype] and departure <= AGREEMENT_BOUND[parts.dtype]:
                    return Choice("tree", name, "; ".join(["exact on the probe", *tried]), error)
                reason = f"the tree differs by {error:.1e} nats, single sequences by {departure:.1e} on average"
        tried.append(f"{name}: {reason}")
    if layout == "tree" or backend != "auto":
        raise ModelError(
            f"{parts.config.model_type} cannot run as a token tree", details=tried, hint="use layout: auto"
        )
    return Choice("padded", "padded", "; ".join(tried))


@torch.no_grad()
def _probe_logprobs(runner: LayoutRunner, choice: Choice, probe: Sequences, *, one_by_one: bool = False) -> Tensor:
    """Return [W] log-probabilities of the probe, as one batch or one sequence at a time."""
    with _evaluating(runner.parts.module):
        if not one_by_one:
            return runner.run(choice, probe, need_last=False).logprobs
        singles = [Sequences((ids_L,), (weights_L,)) for ids_L, weights_L in zip(probe.ids, probe.weights, strict=True)]
        return torch.cat([runner.run(choice, single, need_last=False).logprobs for single in singles])


@torch.no_grad()
def head_is_known(parts: ModelParts) -> bool:
    """Return whether hidden states and our form of the head give the model's own log-probabilities."""
    with _evaluating(parts.module):
        ids_1L = parts.tensor(_probe_sequences(parts.config).ids[0].astype(np.int64))[None]
        logits_LV = parts.base(input_ids=ids_1L, use_cache=False).logits[0]
        own_LV = torch.log_softmax(logits_LV.to(torch.promote_types(logits_LV.dtype, torch.float32)), -1)
        states_LD = parts.decoder(input_ids=ids_1L, use_cache=False).last_hidden_state[0]
        count = ids_1L.shape[1] - 1
        chain, following = np.arange(count), ids_1L[0, 1:].cpu().numpy()
        ours = parts.logprobs(states_LD, chain, chain, following, dtype=parts.weight_dtype)
        theirs = own_LV[torch.arange(count), ids_1L[0, 1:]]
    return bool((ours - theirs).abs().max() <= ISOLATION_BOUND[logits_LV.dtype])


def _probe_sequences(config: Any) -> Sequences:
    """Return sequences of 24, 20 and 31 tokens (two share 12, the third 5), and one longer than the model's window."""
    vocabulary = config.vocab_size
    draw = np.random.default_rng(20_26).integers(min(10, vocabulary - 1), vocabulary, size=700)
    rows = [draw[:24], np.concatenate((draw[:12], draw[24:32])), np.concatenate((draw[:5], draw[32:58]))]
    window = getattr(config, "sliding_window", None) or 0
    room = getattr(config, "max_position_embeddings", None) or 700
    if window and window + 8 <= min(600, room):
        rows.append(np.concatenate((draw[:9], draw[58 : 58 + max(window, 31)])))
    # Of the long one only the last tokens are looked at: 500 rows of logits would take more memory than small runs.
    weights = [[0.0] * max(1, len(row) - 31) + [1.0] * min(31, len(row) - 1) for row in rows]
    return Sequences.of((row.tolist(), weight) for row, weight in zip(rows, weights, strict=True))


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


@contextlib.contextmanager
def _visible_adapters(module: nn.Module) -> Iterator[None]:
    """Give adapters that are still zero small values, so that a probe notices when one is not applied."""
    zero = [p for name, p in module.named_parameters() if ".lora_B." in name and not bool(p.detach().any())]
    draw = torch.Generator().manual_seed(20_26)
    with torch.no_grad():
        for parameter in zero:
            parameter.copy_(torch.randn(parameter.shape, generator=draw) * 0.02)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter in zero:
                parameter.zero_()
