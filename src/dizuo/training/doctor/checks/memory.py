"""The largest block that can ever come fits into memory now, not in hour three."""

from __future__ import annotations

import numpy as np

from dizuo.training.building.build import build_network, build_stepper, explain_out_of_memory
from dizuo.training.doctor import Check, Finding, Subject, green, red
from dizuo.training.planning import machine
from dizuo.training.planning.costs import BlockMemory
from dizuo.training.stepping.stepper import Figures, Stepper
from dizuo.training.tokens.batching import find_worst_block


def check(subject: Subject) -> Finding:
    """Take the longest rows that were looked at through a step and an evaluation, as large as a block may be."""
    plan, store = subject.small, subject.store
    batch = subject.batch_size
    examples = find_worst_block(store, batch_size=batch, budget=plan.use.tokens_per_block, layout=plan.use.layout)
    needed = estimate(subject)
    free = machine.available_memory(plan.use.device)
    if needed.surely > free:
        return red(
            f"about {needed.total / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free",
            meaning="The run would be killed when these rows come together in a block.",
            lines=[subject.rows[int(store.rows[example])].place for example in examples],
            hint="lower tokens_per_block or max_length, use adapter: lora, or choose a smaller model",
        )
    subject.rest()
    network = build_network(plan, subject.model)
    try:
        stepper = build_stepper(plan, network)
        if subject.method.needs_reference:
            store.keep_reference(np.zeros(store.num_sequences))
        figures = explain_out_of_memory(
            lambda: _try(stepper, subject, examples), tokens_per_block=plan.use.tokens_per_block
        )
    finally:
        network.release()
    return green(
        f"{len(examples)} longest rows, {figures.packed_tokens:,} tokens at a time: a step and an evaluation ran, the "
        f"step in {figures.seconds:.1f} s; estimated {needed.total / 1e9:.1f} of {free / 1e9:.1f} GB free"
    )


def _try(stepper: Stepper, subject: Subject, examples: list[int]) -> Figures:
    """Do all that takes memory; no weight changes."""
    figures = stepper.accumulate(subject.store, examples)
    if figures.finite:  # a rate of 0 times NaN would be NaN in every weight
        stepper.apply(figures, learning_rate=0.0)
    stepper.optimizer.zero_grad(set_to_none=True)
    stepper.evaluate(subject.store, batch_size=subject.batch_size, examples=examples)
    return figures


def estimate(subject: Subject) -> BlockMemory:
    """Return what the run needs with the longest rows that were looked at, by its own plan's values."""
    use, store = subject.small.use, subject.store
    return BlockMemory.estimate(
        subject.model.spec,
        store.counts,
        tokens=min(max(use.tokens_per_block, int(store.sizes.max())), int(store.sizes.sum())),
        adapter=use.adapter,
        rank=use.rank,
        quantize=use.quantize,
        dtype=use.dtype,
        backend=use.backend,
        optimizer=use.optimizer,
        checkpoint_activations=use.checkpoint_activations,
        offload_activations=use.offload_activations,
    )


CHECK = Check(title="the worst batch fits into memory", trap=14, check=check)
