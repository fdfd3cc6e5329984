"""The largest block that can ever come fits into memory now, not in hour three."""

from __future__ import annotations

import numpy as np

from dizuo.models import memory
from dizuo.training.building.build import guarded, make_network, make_stepper
from dizuo.training.doctor import Check, Finding, Subject, green, red
from dizuo.training.doctor.subject import with_values
from dizuo.training.planning import machine
from dizuo.training.tokens.batching import worst_block


def check(subject: Subject) -> Finding:
    """Run the longest rows that were looked at through one forward and backward pass, as large as a block may be."""
    plan, store = subject.small, subject.store
    batch = subject.batch_size
    examples = worst_block(store, batch_size=batch, budget=plan["tokens_per_block"], layout=plan["layout"])
    needed = _estimate(subject, min(max(plan["tokens_per_block"], int(store.lengths.max())), int(store.lengths.sum())))
    free = machine.available_memory()
    if needed > free:
        return red(
            f"about {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free",
            meaning="The run would be killed when these rows come together in a block.",
            lines=[subject.rows[int(store.rows[example])].place for example in examples],
            hint="lower tokens_per_block or max_length, use adapter: lora, or choose a smaller model",
        )
    subject.rest()
    network = make_network(plan, subject.model)
    try:
        stepper = make_stepper(with_values(plan, batch_size=batch), network)
        if subject.method.needs_reference:
            store.keep_reference(np.zeros(store.num_sequences))
        figures = guarded(lambda: stepper.accumulate(store, examples), plan)
        stepper.optimizer.zero_grad(set_to_none=True)
    finally:
        network.release()
    return green(
        f"{len(examples)} longest rows, {figures.packed_tokens:,} tokens at a time: ran in {figures.seconds:.1f} s; "
        f"estimated {needed / 1e9:.1f} of {free / 1e9:.1f} GB free"
    )


def _estimate(subject: Subject, tokens: int) -> int:
    facts = subject.store.facts
    return memory.estimate(
        subject.model.spec,
        method=subject.options.adapter,
        tokens=tokens,
        sequence_length=int(facts["longest"]),
        trained_tokens=max(1, round(tokens * facts["trained_tokens"] / facts["tokens"])),
        dtype="float32",
        rank=subject.small["rank"],
        quantize=subject.options.quantize,
        checkpoint_activations=subject.small["checkpoint_activations"],
        optimizer=subject.options.optimizer,
    ).total


CHECK = Check(title="the worst batch fits into memory", trap=14, check=check)
