"""What a plan measures on the real model: which layout is exact, and what a block costs."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from dizuo.errors import ModelError
from dizuo.training.building.build import build_network, build_stepper, explain_out_of_memory
from dizuo.training.building.network import Network
from dizuo.training.checkpoints import Checkpoints, State
from dizuo.training.methods import METHODS
from dizuo.training.planning.costs import Measured, WorstBlock
from dizuo.training.planning.plan import Plan
from dizuo.training.planning.settings import Adapter, Dtype, Settings
from dizuo.training.resuming import own_randomness
from dizuo.training.stepping.stepper import Figures, Stepper
from dizuo.training.tokens.batching import Stream, find_worst_block
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import Choice, Runner

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["find_worst", "measure_layout", "measure_plan"]


def measure_layout(
    model: Model,
    *,
    layout: Literal["auto", "tree", "padded"],
    adapter: Adapter,
    rank: int,
    alpha: float,
    dropout: float,
    targets: str | list[str],
    seed: int,
    dtype: Dtype,
    recompute: bool,
    sharded: bool,
) -> Choice:
    """Return how the model runs exactly, adapters included.

    Args:
        model: on the device of the run.
        layout: what was asked for.
        adapter, rank, alpha, dropout, targets, seed: of the adapters.
        dtype: of activations and products.
        recompute: activations are computed again in the backward pass.
        sharded: weights are divided among ranks.

    Raises:
        ModelError: `tree` was asked for, and the model cannot run so.
    """
    network = Network(model, adapter=adapter, rank=rank, alpha=alpha, dropout=dropout, targets=targets, seed=seed)
    compute = torch.bfloat16 if dtype == "bfloat16" else torch.float32
    try:
        if not sharded:
            return Runner(network.module, layout=layout, compute_dtype=compute, recompute=recompute).choice
        # The native forward reads weights without calling a module, so nothing would gather sharded ones.
        try:
            return Runner(
                network.module, layout=layout, backend="hosted", compute_dtype=compute, recompute=recompute
            ).choice
        except ModelError as error:
            if layout == "tree":
                raise
            return Choice("padded", "padded", "; ".join(error.details) or error.message)
    finally:
        network.release()


def measure_plan(
    plan: Plan, model: Model, store: TokenStore, *, validation: TokenStore | None = None, scratch: Path | None = None
) -> Measured:
    """Run the worst block and two usual steps, and return what they cost; no weight changes.

    The worst block is tried before the long run, so that running out of memory happens now and not in hour three.

    Args:
        plan: of the run.
        model: on the device of the run.
        store: the training tokens.
        validation: the validation tokens, where there are some; their worst block is tried as an evaluation.
        scratch: an empty folder. With one, all else that a run does is done as well: the optimizer's update, with both
            moments there from the start, a checkpoint, and the result on disk.
    """
    use = plan.use
    batch_size = use.batch_size
    stream = Stream(len(store), batch_size=batch_size, total=use.num_examples, seed=use.seed)
    with own_randomness(seed=use.seed, threads=use.threads):
        network = build_network(plan, model)
        try:
            stepper = build_stepper(plan, network)
            reference_seconds = _reference(use, stepper, store, stream)

            def try_step(of_step: list[int]) -> Figures:
                figures = stepper.accumulate(store, of_step)
                if scratch is not None:
                    stepper.apply(figures, learning_rate=0.0)
                return figures

            def try_all() -> tuple[list[int], Figures, list[Figures]]:
                if scratch is not None:
                    stepper.make_moments()
                examples = find_worst(store, use)
                worst = try_step(examples)
                usual = [try_step(stream.examples(step)) for step in range(1, min(2, stream.num_steps) + 1)]
                stepper.optimizer.zero_grad(set_to_none=True)
                if validation is not None:
                    _evaluate(use, stepper, validation)
                if scratch is not None:
                    Checkpoints(scratch / "checkpoints").save(
                        State(step=1), stepper.weights(), stepper.optimizer_tensors()
                    )
                    network.save(scratch)
                return examples, worst, usual

            examples, worst, usual = explain_out_of_memory(try_all, tokens_per_block=use.tokens_per_block)
        finally:
            network.release()
            store.reference = None
    seconds = statistics.median(figures.seconds for figures in usual)
    block = WorstBlock(
        examples=len(examples), tokens=worst.tokens, packed_tokens=worst.packed_tokens, seconds=worst.seconds
    )
    return Measured(
        worst_block=block,
        seconds_per_step=seconds,
        seconds=seconds * use.num_steps + reference_seconds,
        first_loss=usual[0].loss,
    )


def find_worst(store: TokenStore, use: Settings) -> list[int]:
    """Return the examples of the largest block that a run can have of these tokens."""
    return find_worst_block(store, batch_size=use.batch_size, budget=use.tokens_per_block, layout=use.layout)


def _evaluate(use: Settings, stepper: Stepper, validation: TokenStore) -> None:
    examples = find_worst(validation, use)
    if METHODS.load(use.method).needs_reference:
        validation.reference = stepper.log_probabilities(validation, examples)
    stepper.evaluate(validation, batch_size=use.batch_size, examples=examples)
    validation.reference = None


def _reference(use: Settings, stepper: Stepper, store: TokenStore, stream: Stream) -> float:
    """Give the store what the measured steps need of the model before training; return the seconds of all rows."""
    if not METHODS.load(use.method).needs_reference:
        return 0.0
    worst = find_worst(store, use)
    usual = [example for step in range(1, min(2, stream.num_steps) + 1) for example in stream.examples(step)]
    stepper.log_probabilities(store, usual)
    begun = time.perf_counter()
    store.reference = stepper.log_probabilities(store, usual)
    each = (time.perf_counter() - begun) / len(set(usual))
    known = stepper.log_probabilities(store, worst)
    store.reference[~np.isnan(known)] = known[~np.isnan(known)]
    return each * len(stream.every())
