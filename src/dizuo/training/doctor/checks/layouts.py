"""Sharing prefixes, or padding, is only a matter of speed: loss, gradient and every log-probability stay."""

from __future__ import annotations

from dataclasses import replace

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped

LOSS, GRADIENT = 1e-5, 1e-4
"""Allowed differences in float32: of the loss (absolute above 1, relative below) and of the gradient's norm (relative).
SmolLM2-135M on eight rows of BANKING77: 7e-8 and below 1e-7."""


def check(subject: Subject) -> Finding:
    """Take the sample's gradient in the layout of the plan and padded, or padded and row by row."""
    store, everything = subject.batch, range(len(subject.batch))
    plan = subject.exact
    mine = subject.build_stepper().accumulate(store, everything)
    if plan.use.layout == "tree":
        other = subject.build_stepper(replace(plan.use, layout="padded", backend="padded")).accumulate(
            store, everything
        )
        against = f"a tree of {mine.packed_tokens:,} tokens ({plan.use.backend}) against {other.packed_tokens:,} padded"
    elif len(everything) > 1:
        other = subject.build_stepper(replace(plan.use, tokens_per_block=1)).accumulate(store, everything)
        against = f"{mine.packed_tokens:,} padded tokens against {other.packed_tokens:,} without padding"
    else:
        return skipped("one row, which nothing is padded for")
    loss = abs(mine.loss - other.loss) / max(1.0, abs(other.loss))
    gradient = abs(mine.grad_norm - other.grad_norm) / max(other.grad_norm, 1e-12)
    measured = f"{against}: loss differs by {loss:.1e} (allowed {LOSS:.0e}), gradient norm by {gradient:.1e}"
    if loss <= LOSS and gradient <= GRADIENT:
        return green(f"{measured} ({GRADIENT:.0e})")
    return red(
        f"{measured} ({GRADIENT:.0e})",
        meaning="What is trained depends on how rows are laid out in memory: some token reads what it must not read, "
        "or is not read where it must be.",
        lines=[row.place for row in subject.sample],
        hint="set train.layout to padded, and report the model",
    )


CHECK = Check(title="the run's layout gives what padded batches give", trap=1, check=check)
