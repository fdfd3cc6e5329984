"""Every row is trained once per epoch, and every step has the batch that was declared."""

from __future__ import annotations

from collections import Counter

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.tokens.batching import Stream


def check(subject: Subject) -> Finding:
    """Walk through the steps of two epochs over the rows that were looked at, and count."""
    count, batch = len(subject.store), subject.batch_size
    if not count:
        return skipped("no row can be trained")
    stream = Stream(count, batch_size=batch, total=2 * count, seed=subject.options.seed)
    steps = [stream.examples(step) for step in range(1, stream.num_steps + 1)]
    visits = [example for step in steps for example in step]
    epochs = [Counter(visits[:count]), Counter(visits[count:])]
    uneven = [number for number, step in enumerate(steps[:-1], start=1) if len(step) != batch]
    wrong = [k for k in range(count) if any(epoch[k] != 1 for epoch in epochs)]
    same = count > 8 and visits[:count] == visits[count:]
    if not uneven and not wrong and not same and len(visits) == 2 * count:
        return green(f"{count:,} examples twice in {len(steps):,} steps of {batch}, in another order each time")
    return red(
        f"{len(wrong):,} of {count:,} examples are not trained once per epoch, {len(uneven)} steps are not of {batch}"
        + (", and both epochs have one order" if same else ""),
        meaning="Some rows count more than others, or the learning rate meets another batch than it was chosen for.",
        lines=[subject.rows[int(subject.store.rows[k])].place for k in wrong],
        hint="report it",
    )


CHECK = Check(title="each epoch trains each row once, in whole batches", trap=8, check=check)
