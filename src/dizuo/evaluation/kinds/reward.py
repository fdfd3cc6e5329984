"""Which of two answers is better, by a trained reward, on pairs that it was not trained on.

cheap      the longer answer: what reward models learn first and easily stop at (Singhal et al. 2023, arXiv:2310.03716)
untuned    the answer that the untuned model finds likelier, by the sum of log p, and (beside it) per token
tuned      the answer with the higher reward, as scored over the token tree and as served through the engine

A pair is right, wrong, or level, which counts a half. Intervals are Wilson's and tests McNemar's where none is level.

Shapes: n pairs.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import Rendered, render_completions
from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.answering.pairs import items_of_pairs, length_margins, pair_entry, pairs_of, share_right
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Setting, joined

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["KIND"]


def _applies(task: Task, head: HeadFacts | None) -> bool:
    return task.kind == "preference" and head is not None and head.kind == "reward"


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    head = setting.head
    assert head is not None
    pairs = pairs_of(setting)
    cheap = Answers([], mb_on_disk=0.0)
    entries = [pair_entry(setting, score, "longer", "the longer answer", "cheap", length_margins(pairs), cheap)]
    if setting.options.untuned:
        entries.append(_untuned_entry(setting, score))
    with models.open_runner(setting, tuned=True) as (runner, tokenizer):
        sequences = [
            heads.render_pair(tokenizer, pair, answer, head)
            for pair in pairs
            for answer in (pair.chosen, pair.rejected)
        ]
        scored = heads.run_head(setting, runner, head, sequences, work="tuned, as scored")
    count = min(setting.options.served_items or len(pairs), len(pairs))
    served = heads.serve_head(setting, head, sequences[: 2 * count], work="tuned, as served")
    for name, title, outputs in (("tuned", "tuned, as scored", scored), ("served", "tuned, as served", served)):
        rewards = np.where(outputs.too_long, -np.inf, head.numbers(outputs.values)).reshape(-1, 2)
        too_long = outputs.too_long.reshape(-1, 2).any(axis=1)
        rewards[too_long] = [0.0, 1.0]  # a pair that cannot be read is wrong
        margins = rewards[:, 0] - rewards[:, 1]
        lost, total = int(too_long.sum()), len(rewards)
        answers = Answers(
            [],
            seconds_train=setting.training_seconds(),
            ms_per_item=1000 * outputs.seconds / max(1, total),
            mb_on_disk=setting.megabytes(tuned=True),
            note=f"{lost:,} of {total:,} pairs are too long for the model and count as wrong" if lost else "",
            metrics={"mean margin": float(margins.mean())},
        )
        entries.append(pair_entry(setting, score, name, title, "tuned", margins, answers))
    return entries


def _untuned_entry(setting: Setting, score: Score) -> Entry:
    """Return which answers the untuned model finds likelier."""
    began = time.perf_counter()
    pairs = pairs_of(setting)
    with models.open_runner(setting, tuned=False) as (runner, tokenizer):
        sequences: list[Rendered] = []
        for pair in pairs:
            if not (pair.chosen and pair.rejected):
                raise EvaluationError(f"{pair.origin} has an empty answer", hint="check the file")
            both = [joined(pair.chosen), joined(pair.rejected)]
            sequences += render_completions(tokenizer, pair.prompt, both, tools=pair.tools)
        fits = np.array([len(sequence.ids) <= setting.spec.context_length for sequence in sequences])
        kept = [sequence for sequence, fit in zip(sequences, fits) if fit]
        values = score_sequences(
            runner, kept, tokens_per_block=setting.options.tokens_per_block, work="untuned", watch=setting.watch
        )
    sums, means = np.zeros(len(sequences)), np.zeros(len(sequences))
    sums[fits], means[fits] = [value.sum() for value in values], [value.mean() for value in values]
    whole = fits.reshape(-1, 2).all(axis=1)

    def margins(table: NDArray[np.float64]) -> NDArray[np.float64]:
        better, worse = table.reshape(-1, 2).T
        return np.where(whole, better - worse, -1.0)

    answers = Answers(
        [],
        ms_per_item=1000 * (time.perf_counter() - began) / max(1, len(pairs)),
        mb_on_disk=setting.megabytes(tuned=False),
        note="the likelier answer",
        metrics={"the likelier answer per token": share_right(margins(means))},
    )
    return pair_entry(setting, score, "untuned", "untuned", "untuned", margins(sums), answers)


KIND = TaskKind(
    title="a reward model",
    answers="pair",
    applies=_applies,
    items=items_of_pairs,
    entries=_entries,
    default_metric=lambda items: ("pairs", "of two answers one is better"),
    fits_cheap_models=False,
    reported="reward",
)
