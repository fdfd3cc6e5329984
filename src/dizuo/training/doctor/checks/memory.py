"""The largest block that can ever come fits into memory now, not in hour three."""

from __future__ import annotations

import numpy as np

from dizuo.models import memory
from dizuo.training.building.build import build_network, build_stepper, explain_out_of_memory
from dizuo.training.doctor import Check, Finding, Subject, green, red
from dizuo.training.planning import machine
from dizuo.training.tokens.batching import find_worst_block


def check(subject: Subject) -> Finding:
    """Run the longest rows that were looked at through one forward and backward pass, as large as a block may be."""
    plan, store = subject.small, subject.store
    batch = subject.batch_size
    examples = find_worst_block(store, batch_size=batch, budget=plan.use.tokens_per_block, layout=plan.use.layout)
    needed = _estimate(subject, min(max(plan.use.tokens_per_block, int(store.lengths.max())), int(store.lengths.sum())))
    free = machine.available_memory()
    if needed > free:
        return red(
            f"about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free",
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
            lambda: stepper.accumulate(store, examples), tokens_per_block=plan.use.tokens_per_block
        )
        stepper.optimizer.zero_grad(set_to_none=True)
    finally:
        network.release()
    return green(
        f"{len(examples)} longest rows, {figures.packed_tokens:,} tokens at a time: ran in {figures.seconds:.1f} s; "
        f"estimated {needed / 1e9:.1f} of {free / 1e9:.1f} GB free"
    )


def _estimate(subject: Subject, tokens: int) -> int:
    counts, use = subject.store.counts, subject.small.use
    return memory.estimate(
        subject.model.spec,
        method=subject.options.adapter,
        tokens=tokens,
        sequence_length=counts.longest,
        trained_tokens=max(1, round(tokens * counts.trained_tokens / counts.tokens)),
        dtype="float32",
        rank=use.rank,
        quantize=subject.options.quantize,
        checkpoint_activations=use.checkpoint_activations,
        optimizer=subject.options.optimizer,
    ).total


CHECK = Check(title="the worst batch fits into memory", trap=14, check=check)
