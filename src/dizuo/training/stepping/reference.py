"""What the untrained model thinks of every sequence that a run will read: computed once, before the first step.

The values are kept beside the tokens as they come, so that a killed run loses about a minute of them and a resumed one
computes none twice. They do not depend on where a run was cut: parts are fixed by the rows, not by what is missing.
Several ranks compute a part together, and the first one keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from dizuo.events import Finished, Progress, Started, Warned, Watcher
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.token_store import TokenStore

__all__ = ["compute"]

ROWS = 1024
"""Examples of a part, computed together."""
KEEP_SECONDS = 60.0
"""Between two writings of what is known."""


def compute(
    stepper: Stepper,
    store: TokenStore,
    examples: Iterable[int],
    *,
    name: str,
    guard: Callable[[Callable[[], NDArray[np.float64]]], NDArray[np.float64]],
    watch: Watcher,
) -> None:
    """Give a store the reference of some of its examples, going on from what is kept beside it.

    Args:
        stepper: with the weights as they were before training.
        store: gets `reference`.
        examples: those that the run reads; the others stay NaN.
        name: of the split, for events.
        guard: does a piece of work, and says what to change when it runs out of memory.
        watch: told progress.
    """
    ordered = sorted(set(examples))
    values = store.reference if store.reference is not None else np.full(store.num_sequences, np.nan)
    parts = [ordered[start : start + ROWS] for start in range(0, len(ordered), ROWS)]
    ranks = stepper.ranks
    unknown = [bool(np.isnan(values[_numbers(store, part)]).any()) for part in parts]
    missing = [part for part, here in zip(parts, zip(*ranks.gather(unknown), strict=True), strict=True) if any(here)]
    store.reference = values
    if not missing:
        return
    if store.damaged_reference:
        watch(Warned(f"{store.folder / 'reference.npz'} is damaged, and is computed again"))
    work = f"reference {name}"
    begun = kept = time.perf_counter()
    done = known = len(ordered) - sum(len(part) for part in missing)
    watch(Started(work, len(ordered), "rows"))
    for part in missing:
        log_probabilities = guard(lambda part=part: stepper.log_probabilities(store, part))  # type: ignore[misc]
        numbers = _numbers(store, part)
        values[numbers] = log_probabilities[numbers]
        done += len(part)
        now = time.perf_counter()
        if now - kept >= KEEP_SECONDS or done == len(ordered):
            if ranks.first:
                store.keep_reference(values)
            kept = now
        rate = (done - known) / (now - begun)
        watch(Progress(work, done, len(ordered), "rows", rate, (len(ordered) - done) / rate))
    watch(Finished(work, time.perf_counter() - begun, f"{len(ordered):,} rows"))


def _numbers(store: TokenStore, part: Iterable[int]) -> list[int]:
    return [number for example in part for number in store.sequences_of(example)]
