"""Running a batch through a model, as a token tree or as padded sequences, and getting the same answer.

A `Runner` decides once, when it is made, how its model runs (`choosing.py`): natively (our own forward over the same
weights, `native/`), hosted (inside transformers' modules, `hosted.py`) or padded (`padded.py`). A pass as a tree packs
the batch, leaves out what no prediction depends on, computes the states that predict something, and asks the vocabulary
projection for the log-probabilities of the trained tokens alone.

Shapes: n sequences, W weighted tokens over all of them, E distinct trained tokens, R distinct states that predict one
of them, Q wanted states (the R predicting ones, and the last ones where asked for), D hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from dizuo.trees.choosing import Backend, Choice, Layout, choose, head_is_known
from dizuo.trees.hosted import Hosted
from dizuo.trees.model_parts import ModelParts
from dizuo.trees.native.decoder import Native
from dizuo.trees.outputs import Outputs
from dizuo.trees.padded import run_padded
from dizuo.trees.recomputing import Recompute
from dizuo.trees.tree import Packed, Sequences, build

__all__ = ["Runner", "ShardGate"]


class ShardGate(Protocol):
    """A module whose forward does the work given to it, with sharded weights made whole for all of it."""

    def __call__(self, work: Callable[[], tuple[Tensor, Tensor | None]]) -> tuple[Tensor, Tensor | None]:
        """Do the work; the tensors it returns begin their backward here."""


class Runner:
    """A model with its measured way to run.

    Args:
        module: a transformers causal language model, plain or wrapped by PEFT. The runner owns its attention
            implementation from here on.
        layout: `tree`, `padded`, or `auto` (tree where it is exact).
        backend: `native`, `hosted`, or `auto` (native where it is exact).
        compute_dtype: dtype of activations and products; None is the dtype of the weights.
        choice: an earlier choice to follow without measuring, from a plan.
        recompute: keep only what goes into each layer, and compute the rest again in the backward pass.
        offload: with `recompute`, keep that in the CPU's memory.

    Raises:
        ModelError: a layout or backend was asked for that this model cannot run exactly, or its layers cannot be
            computed again.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        layout: Layout = "auto",
        backend: Backend = "auto",
        compute_dtype: torch.dtype | None = None,
        choice: Choice | None = None,
        recompute: bool = False,
        offload: bool = False,
    ) -> None:
        self.parts = ModelParts(module, compute_dtype=compute_dtype)
        self.module, self.base, self.head = module, self.parts.base, self.parts.head
        self.config, self.dtype = self.parts.config, self.parts.dtype
        self._recompute = Recompute(self.base, wanted=recompute, offload=offload)
        self._native: Native | None = None
        self._hosted = Hosted(self.parts, recompute=self._recompute)
        self.own_logits = not head_is_known(self.parts)
        """Whether the model makes its logits in a way that is not known here, so that they are taken from it whole."""
        self.shard_gate: ShardGate | None = None
        """Does every pass where weights are sharded; see `use_shard_gate`."""
        self.choice = choice or choose(self, layout=layout, backend=backend)
        self.prepare(self.choice)

    @property
    def device(self) -> torch.device:
        """Where inputs and outputs lie."""
        return self.parts.device

    def use_shard_gate(self, gate: ShardGate, device: torch.device) -> None:
        """Do every pass from here on inside a gate that makes sharded weights whole, on a device."""
        self.shard_gate, self.parts.device = gate, device

    def forward(self, sequences: Sequences, *, need_last: bool = False) -> Outputs:
        """Run a batch.

        Args:
            sequences: the batch; at least one sequence.
            need_last: also return the last token's state of every sequence.

        Returns:
            Log-probabilities of the weighted tokens, differentiable in every parameter that requires a gradient.
        """
        if self.shard_gate is None:
            return self.run(self.choice, sequences, need_last=need_last)
        passed: list[Outputs] = []

        def work() -> tuple[Tensor, Tensor | None]:
            passed.append(self.run(self.choice, sequences, need_last=need_last))
            return passed[0].logprobs, passed[0].last

        # Tensors go out through the gate, so that their backward begins there too.
        passed[0].logprobs, passed[0].last = self.shard_gate(work)
        return passed[0]

    def prepare(self, choice: Choice) -> None:
        """Make what a choice needs before its first pass.

        Raises:
            ModelError: the layers cannot be computed again.
        """
        if choice.backend != "native":
            self._recompute.find_layers()
        elif self._native is None:
            self._native = Native(
                self.base, dtype=self.dtype, recompute=self._recompute.wanted, offload=self._recompute.offload
            )

    def run(self, choice: Choice, sequences: Sequences, *, need_last: bool) -> Outputs:
        """Run a batch as a choice says, which must have been prepared; `forward` runs it as the runner's own says."""
        if choice.layout == "padded":
            return run_padded(
                self.parts, sequences, recompute=self._recompute, own_logits=self.own_logits, need_last=need_last
            )
        tree, tensor = build(sequences), self.parts.tensor
        parent_R = np.unique(tree.parent[tree.edge])
        wanted_Q = np.union1d(parent_R, tree.last) if need_last else parent_R
        packed = tree.needed(wanted_Q)
        states_QD = self._states(choice, packed)
        row_E = np.searchsorted(parent_R, tree.parent[tree.edge])
        logprobs_E = self.parts.logprobs(states_QD, np.searchsorted(wanted_Q, parent_R), row_E, tree.ids[tree.edge])
        return Outputs(
            logprobs=logprobs_E[tensor(tree.path_edge)],
            weights=tensor(tree.path_weight).to(logprobs_E.dtype),
            sequence=tensor(tree.path_sequence),
            num_sequences=len(sequences),
            last=states_QD[tensor(np.searchsorted(wanted_Q, tree.last))] if need_last else None,
            num_tokens=len(packed),
            sum_lengths=sequences.sum_lengths,
        )

    def _states(self, choice: Choice, packed: Packed) -> Tensor:
        """Return the wanted states [Q, D] of a tree."""
        if not len(packed):  # nothing is trained and no state is asked for
            return self.head.weight.new_zeros(0, self.head.weight.shape[1], dtype=self.dtype)
        if choice.backend == "native":
            assert self._native is not None
            return self._native.hidden_states(packed)
        return self._hosted.hidden_states(packed)
