"""What dizuo chooses where the user left a value open, and the reason it gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from dizuo.training.planning.learning_rates import TUNING
from dizuo.training.planning.settings import Value

__all__ = [
    "RANK",
    "choose_alpha",
    "choose_batch_size",
    "choose_checkpoint_every",
    "choose_epochs",
    "choose_eval_every",
    "choose_head_learning_rate",
    "choose_learning_rate",
    "choose_rank",
    "choose_tokens_per_block",
    "pick_by_size",
]

T = TypeVar("T")

EPOCHS = ((100, 8.0), (500, 4.0), (2_000, 3.0), (10_000, 2.0), (float("inf"), 1.0))
"""(examples below, epochs). Four epochs of 48 rows, 16 at a time, are 12 steps: SmolLM2-135M then says `ham` to every
SMS (87.5 % of 200); eight epochs of 8 at a time reach 93.0 %. Sentence polarity has 77.0 % with both."""
BATCHES = ((192, 8), (float("inf"), 16))
"""(examples below, sequences per step). The rates in `learning_rates.py` belong to 16, which is taken where an epoch
then has twelve steps. With 4 at a time they are too high: 68.5 % instead of 79.5 % on sentence polarity (48 rows, 4
epochs)."""
RANK = 16
LARGEST_RANK = 128
BITS_PER_WEIGHT = 2
BLOCK_TOKENS = (4096, 2048, 1024, 512)
"""Larger blocks than 4,096 tokens make no product faster and cost memory."""


def pick_by_size(table: Sequence[tuple[float, T]], size: float) -> T:
    """Return the value of the first line whose bound the size is below."""
    return next(value for below, value in table if size < below)


def choose_learning_rate(*, adapter: str, parameters: int) -> Value[float]:
    """Return the peak learning rate for an adapter kind and a model size."""
    rate = TUNING.peak(adapter=adapter, parameters=parameters)
    kind = {"lora": "LoRA", "dora": "DoRA", "rslora": "rsLoRA"}.get(adapter, "full training")
    return Value(rate, "default", f"{kind} of a model of {parameters / 1e6:,.3g}M parameters")


def choose_head_learning_rate(*, parameters: int) -> Value[float]:
    """Return the peak rate of a head that begins anew: LoRA's for the model's size, whatever else is trained.

    A faster head explains the training rows by itself, before the model below it has learnt anything that holds for
    others. LoRA on SmolLM2-135M, ten rows for each of BANKING77's intents, 770 validation questions: 78.2 % at 1e-2
    and 81.3 % at 1e-3 (learning rate 1e-3, 3 epochs); 81.7 % at 3e-3, 84.7 % at 5e-4 and 82.9 % at 2e-4 (learning rate
    2e-4, 10 epochs). Over frozen states, where nothing but the head can learn, 1e-2 was best.
    """
    rate = TUNING.peak(adapter="lora", parameters=parameters)
    return Value(rate, "default", f"the head of a model of {parameters / 1e6:,.3g}M parameters")


def choose_batch_size(*, num_examples: int) -> Value[int]:
    """Return the sequences per optimizer step for the number of rows: few rows are no reason to take few steps."""
    return Value(pick_by_size(BATCHES, num_examples), "default", f"{num_examples:,} training rows")


def choose_rank(*, trained_tokens: int, parameters_per_rank: int) -> Value[int]:
    """Return an adapter's rank: what its weights can hold is at least what the data may say.

    A trained weight holds about two bits, and a token says at most about one (Schulman et al. 2025, "LoRA Without
    Regret"; Allen-Zhu & Li 2024, "Physics of Language Models: Part 3.3"). An adapter that cannot hold its data learns
    slower than full training; one that can does not.
    """
    value = RANK
    while value < LARGEST_RANK and trained_tokens > BITS_PER_WEIGHT * parameters_per_rank * value:
        value *= 2
    held = BITS_PER_WEIGHT * parameters_per_rank * value / 1e6
    why = f"{trained_tokens:,} trained tokens, for which {held:,.0f} million bits are room"
    return Value(value, "default", why if trained_tokens else "the targets of a head say little")


def choose_alpha(*, adapter: str, rank: int) -> Value[float]:
    """Return the numerator of an adapter's scale: 2 at rank 16, whatever the kind."""
    if adapter == "rslora":
        return Value(8.0, "default", "8: divided by the root of the rank, which is 2 at rank 16")
    return Value(2.0 * rank, "default", "2 × rank")


def choose_epochs(*, num_examples: int) -> Value[float]:
    """Return the passes over the data for its size."""
    return Value(pick_by_size(EPOCHS, num_examples), "default", f"{num_examples:,} training rows")


def choose_checkpoint_every(*, num_steps: int) -> Value[int]:
    """Return the steps between checkpoints."""
    return Value(max(1, min(200, num_steps // 10)), "default", "a tenth of the run, at most 200 steps")


def choose_eval_every(*, num_steps: int, num_validation: int) -> Value[int]:
    """Return the steps between evaluations; 0 without a validation split."""
    if not num_validation:
        return Value(0, "data", "no validation rows")
    return Value(max(1, -(-num_steps // 4)), "default", "four evaluations per run")


def choose_tokens_per_block(sizes_in_bytes: dict[int, int], *, memory: int) -> Value[int]:
    """Return the largest block that half the memory holds.

    Args:
        sizes_in_bytes: estimated memory of the run by tokens per block, for each of `BLOCK_TOKENS`.
        memory: bytes this process may ever use.
    """
    for tokens in BLOCK_TOKENS:
        if sizes_in_bytes[tokens] <= memory // 2:
            return Value(tokens, "estimated", f"needs {sizes_in_bytes[tokens] / 1e9:.1f} of {memory / 1e9:.1f} GB")
    return Value(BLOCK_TOKENS[-1], "estimated", f"the smallest; {memory / 1e9:.1f} GB of memory")
