"""The rows of a reward model: which of two answers is better, on pairs that it was not trained on.

cheap      the longer answer: what reward models learn first and easily stop at (Singhal et al. 2023, arXiv:2310.03716)
untuned    the answer that the untuned model finds likelier, by the sum of log p, and (beside it) per token
tuned      the answer with the higher reward, as scored over the token tree and as served through the engine

A pair is right, wrong, or level, which counts a half. Intervals are Wilson's and tests McNemar's where none is level.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import Rendered, render_completions
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Item, Setting
from dizuo.models.heads import Head
from dizuo.records import Message, Preference

__all__ = ["TITLE", "entries", "items_of_pairs"]

TITLE = "pairs ranked right"
BETTER, WORSE = "the better answer", "the worse answer"


def items_of_pairs(pairs: Sequence[Preference], *, limit: int = 0) -> list[Item]:
    """Return the first `limit` (0: all) pairs as items."""
    return [
        Item(_text(pair.prompt), pair.prompt, (BETTER,), pair.id, str(pair.origin))
        for pair in pairs[: limit or len(pairs)]
    ]


def entries(setting: Setting, head: Head, pairs: Sequence[Preference]) -> list[Entry]:
    """Return every row's choices.

    Args:
        setting: its items are those of the pairs.
        head: a `reward`.
        pairs: what is scored.
    """
    found = [_entry("longer", "the longer answer", "cheap", _lengths(pairs), Answers([], mb_on_disk=0.0))]
    if setting.options.untuned:
        found.append(_untuned(setting, pairs))
    with models.runner(setting, tuned=True) as (runner, tokenizer):
        sequences = _conversations(tokenizer, pairs, head)
        scored = heads.run(setting, runner, head, sequences, work="tuned, as scored")
    count = min(setting.options.served_items or len(pairs), len(pairs))
    spoken = heads.served(setting, head, sequences[: 2 * count], work="tuned, as served")
    for name, outputs in (("tuned", scored), ("served", spoken)):
        rewards = np.where(outputs.too_long, -np.inf, head.numbers(outputs.values)).reshape(-1, 2)
        lost = int(outputs.too_long.reshape(-1, 2).any(axis=1).sum())
        rewards[outputs.too_long.reshape(-1, 2).any(axis=1)] = [0.0, 1.0]  # a pair that cannot be read is wrong
        margin = rewards[:, 0] - rewards[:, 1]
        answers = Answers(
            [],
            seconds_train=setting.training_seconds(),
            ms_per_item=1000 * outputs.seconds / max(1, len(rewards)),
            mb_on_disk=setting.megabytes(tuned=True),
            note=f"{lost:,} of {len(rewards):,} pairs are too long for the model and count as wrong" if lost else "",
            metrics={"mean margin": float(margin.mean())},
        )
        title = f"tuned, as {'scored' if name == 'tuned' else 'served'}"
        found.append(_entry(name, title, "tuned", margin, answers))
    return found


def _untuned(setting: Setting, pairs: Sequence[Preference]) -> Entry:
    began = time.perf_counter()
    with models.runner(setting, tuned=False) as (runner, tokenizer):
        sequences: list[Rendered] = []
        for pair in pairs:
            if not (pair.chosen and pair.rejected):
                raise EvaluationError(f"{pair.origin} has an empty answer", hint="check the file")
            answers_here = [_text(pair.chosen), _text(pair.rejected)]
            sequences += render_completions(tokenizer, pair.prompt, answers_here, tools=pair.tools)
        fits = np.array([len(one.ids) <= setting.spec.context_length for one in sequences])
        kept = [one for one, fit in zip(sequences, fits) if fit]
        values = score_sequences(
            runner, kept, tokens_per_block=setting.options.tokens_per_block, work="untuned", watch=setting.watch
        )
    sums, means = np.zeros(len(sequences)), np.zeros(len(sequences))
    sums[fits], means[fits] = [value.sum() for value in values], [value.mean() for value in values]
    whole = fits.reshape(-1, 2).all(axis=1)
    margins = {}
    for name, table in (("sum", sums), ("token", means)):
        margin = table.reshape(-1, 2)[:, 0] - table.reshape(-1, 2)[:, 1]
        margins[name] = np.where(whole, margin, -1.0)
    answers = Answers(
        [],
        ms_per_item=1000 * (time.perf_counter() - began) / max(1, len(pairs)),
        mb_on_disk=setting.megabytes(tuned=False),
        note="the likelier answer",
        metrics={"the likelier answer per token": float(_worth(margins["token"]).mean())},
    )
    return _entry("untuned", "untuned", "untuned", margins["sum"], answers)


def _conversations(tokenizer: Any, pairs: Sequence[Preference], head: Head) -> list[Rendered]:
    return [
        heads.conversation(tokenizer, pair, answer, head) for pair in pairs for answer in (pair.chosen, pair.rejected)
    ]


def _lengths(pairs: Sequence[Preference]) -> NDArray[np.float64]:
    return np.array([float(len(_text(pair.chosen)) - len(_text(pair.rejected))) for pair in pairs])


def _entry(name: str, title: str, family: str, margin: NDArray[np.float64], answers: Answers) -> Entry:
    values = _worth(margin)
    texts = [BETTER if value == 1 else WORSE if value == 0 else "level" for value in values]
    filled = Answers(
        texts, None, answers.seconds_train, answers.ms_per_item, answers.mb_on_disk, answers.note, answers.metrics
    )
    return Entry(name, title, family, filled, values)


def _worth(margin: NDArray[np.float64]) -> NDArray[np.float64]:
    worth: NDArray[np.float64] = (margin > 0) + 0.5 * (margin == 0)
    return worth


def _text(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.content for message in messages)
