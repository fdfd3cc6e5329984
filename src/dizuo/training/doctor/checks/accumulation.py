"""The same rows give the same loss and gradient however they are cut into blocks: 1 × 8, 2 × 4, 8 × 1.

References:
    The gradient-accumulation fault of October 2024 (https://unsloth.ai/blog/gradient): a mean of means over blocks of
    unequal numbers of trained tokens. Its error is one-sided, so the mean drift is looked at too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped
from dizuo.training.stepping.stepper import Figures
from dizuo.training.tokens.batching import cut_blocks

BOUND = 1e-5
"""Of the loss (absolute above 1, relative below), of the gradient's norm (relative), and of the mean drift; float32."""


def check(subject: Subject) -> Finding:
    """Take the gradient of the same rows in one block, in about two, and one by one; evaluate them one by one too."""
    store, everything = subject.batch, range(len(subject.batch))
    if len(everything) < 2:
        return skipped("there is only one row to train")
    budgets = _budgets(subject, everything)

    def accumulate(budget: int) -> Figures:
        stepper = subject.build_stepper(replace(subject.exact.use, tokens_per_block=budget))
        return stepper.accumulate(store, everything)

    whole, *others = [accumulate(budget) for budget, _ in budgets]
    # A sum over the whole step (KTO's KL term) is another one where each row is a step by itself.
    rows_at_once = 1 if subject.method.before is None else len(everything)
    evaluated = subject.build_stepper().evaluate(store, batch_size=rows_at_once)
    scale = max(1.0, abs(whole.loss))
    moved = [(figures.loss - whole.loss) / scale for figures in (*others, evaluated)]
    norms = [abs(figures.grad_norm - whole.grad_norm) / max(whole.grad_norm, 1e-12) for figures in others]
    worst, drift = max(map(abs, moved)), abs(sum(moved) / len(moved))
    shapes = ", ".join(str(count) for _, count in budgets)
    measured = (
        f"{len(everything)} rows in {shapes} blocks: loss differs by at most {worst:.1e}, its mean drifts by "
        f"{drift:.1e}, the gradient norm differs by {max(norms):.1e} (allowed {BOUND:.0e})"
    )
    if max(worst, drift, *norms) <= BOUND:
        return green(measured)
    return red(
        measured,
        meaning="Memory decides what is learnt: another block size, or another machine, trains another model. Short "
        "answers count too much, or too little.",
        lines=[row.place for row in subject.sample],
        hint="let the method return the block's sum and its total weight, and leave the division to the loop",
    )


def _budgets(subject: Subject, examples: Sequence[int]) -> list[tuple[int, int]]:
    """Return tokens per block with the number of blocks they give: one, about two, and one per row."""
    store, layout = subject.batch, subject.exact.use.layout

    def count(budget: int) -> int:
        return len(cut_blocks(store, examples, budget=budget, layout=layout))

    budgets = [(2**40, 1)]
    if len(examples) > 3:
        low, high = 1, int(store.lengths.sum()) * len(examples)
        while high - low > 1:  # the smallest budget of two blocks
            between = (low + high) // 2
            low, high = (low, between) if count(between) <= 2 else (between, high)
        budgets.append((high, count(high)))
    return [*budgets, (1, count(1))]


CHECK = Check(title="loss and gradient do not depend on the batch's shape", trap=1, check=check)
