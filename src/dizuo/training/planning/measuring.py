"""What a plan measures on the real model: which layout is exact, and what a block costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch

from dizuo.errors import ModelError
from dizuo.training.building.build import guarded, make_network, make_stepper
from dizuo.training.building.network import Network
from dizuo.training.methods import METHODS
from dizuo.training.planning.plan import Plan, Value
from dizuo.training.resuming import quiet_globals
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.batching import Stream, worst_block
from dizuo.training.tokens.tokenizing import TokenStore
from dizuo.trees import Choice, Runner

if TYPE_CHECKING:
    from dizuo.models import Model

__all__ = ["measure_layout", "measure_plan"]


def measure_layout(values: Mapping[str, Value], model: Model, *, layout: str) -> Choice:
    """Return how the model runs exactly, adapters included."""
    names = ("adapter", "rank", "alpha", "dropout", "targets", "seed")
    network = Network(model, **{name: values[name].value for name in names})
    dtype = torch.bfloat16 if values["dtype"].value == "bfloat16" else torch.float32
    wanted = cast(Literal["auto", "tree", "padded"], layout)
    again = bool(values["checkpoint_activations"].value)
    try:
        if values["shard"].value == "none":
            return Runner(network.module, layout=wanted, compute_dtype=dtype, recompute=again).choice
        # The native forward reads weights without calling a module, so nothing would gather sharded ones.
        try:
            return Runner(network.module, layout=wanted, backend="hosted", compute_dtype=dtype, recompute=again).choice
        except ModelError as error:
            if layout == "tree":
                raise
            return Choice("padded", "padded", "; ".join(error.details) or error.message)
    finally:
        network.release()


def measure_plan(plan: Plan, model: Model, store: TokenStore) -> dict[str, Any]:
    """Run the worst block and two usual steps, forward and backward, and return what they cost.

    The worst block is tried before the long run, so that running out of memory happens now and not in hour three.
    """
    batch_size, layout = plan["batch_size"], plan["layout"]
    stream = Stream(len(store), batch_size=batch_size, total=plan["num_examples"], seed=plan["seed"])
    with quiet_globals(plan):
        network = make_network(plan, model)
        try:
            stepper = make_stepper(plan, network)
            reference_seconds = _reference(plan, stepper, store, stream)
            examples = worst_block(store, batch_size=batch_size, budget=plan["tokens_per_block"], layout=layout)
            worst = guarded(lambda: stepper.accumulate(store, examples), plan)
            usual = [
                guarded(lambda step=step: stepper.accumulate(store, stream.examples(step)), plan)  # type: ignore[misc]
                for step in range(1, min(2, stream.num_steps) + 1)
            ]
            stepper.optimizer.zero_grad(set_to_none=True)
        finally:
            network.release()
            store.reference = None
    seconds = statistics.median(figures.seconds for figures in usual)
    return {
        "worst_block": {
            "examples": len(examples),
            "tokens": worst.tokens,
            "packed_tokens": worst.packed_tokens,
            "seconds": worst.seconds,
        },
        "seconds_per_step": seconds,
        "seconds": seconds * plan["num_steps"] + reference_seconds,
        "first_loss": usual[0].loss,
    }


def _reference(plan: Plan, stepper: Stepper, store: TokenStore, stream: Stream) -> float:
    """Give the store what the measured steps need of the model before training; return the seconds of all rows."""
    if not METHODS.load(plan["method"]).needs_reference:
        return 0.0
    worst = worst_block(store, batch_size=plan["batch_size"], budget=plan["tokens_per_block"], layout=plan["layout"])
    usual = [example for step in range(1, min(2, stream.num_steps) + 1) for example in stream.examples(step)]
    stepper.log_probabilities(store, usual)
    begun = time.perf_counter()
    store.reference = stepper.log_probabilities(store, usual)
    each = (time.perf_counter() - begun) / len(set(usual))
    known = stepper.log_probabilities(store, worst)
    store.reference[~np.isnan(known)] = known[~np.isnan(known)]
    return each * len(stream.every())
