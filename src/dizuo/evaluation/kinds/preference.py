"""Which of two answers a model finds likelier, before and after it was trained on preferences.

cheap      the longer answer, and the shorter one: what pairs often give away without being read
untuned    the answer that the untuned model finds likelier, by the sum of log p over its tokens
tuned      the same of the tuned model; beside it, per token, and by the reward that DPO trains: the answer whose
           log p rose more (Rafailov et al. 2023, arXiv:2305.18290, section 4)

The sum is what the losses of DPO and KTO compare, and it favours short answers, for everybody alike: the row of the
shorter answer shows how far that alone goes. A pair is right, wrong, or level, which counts a half; one that is too
long for the model is wrong. Intervals are Wilson's and tests McNemar's where no pair is level.

Shapes: n pairs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import render_answer
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.answering.pairs import items_of_pairs, length_margins, pair_entry, pairs_of, share_right
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.reporting.findings import SAMPLE_TOKENS
from dizuo.evaluation.reporting.parts import Sample
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Setting, joined

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["KIND"]

Floats = NDArray[np.float64]


def _applies(task: Task, head: HeadFacts | None) -> bool:
    return task.kind == "preference" and head is None


@dataclass(frozen=True, slots=True, eq=False)
class _Scores:
    """What a model thinks of every pair's answers."""

    sums: Floats
    """[n, 2] Σ log p over the answers' tokens, in nats: chosen, rejected."""
    means: Floats
    """[n, 2] the same per token."""
    too_long: NDArray[np.bool_]
    """[n] pairs that the model cannot read."""
    seconds: float

    def margins(self, table: Floats) -> Floats:
        """Return [n] by how much the chosen answer has the larger number; a pair that cannot be read is wrong."""
        return np.where(self.too_long, -1.0, table[:, 0] - table[:, 1])


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    lengths = length_margins(pairs_of(setting))
    entries = [
        pair_entry(setting, score, name, f"the {name} answer", "cheap", margins, Answers([], mb_on_disk=0.0))
        for name, margins in (("longer", lengths), ("shorter", -lengths))
    ]
    before = None
    if setting.options.untuned:
        before = _score_pairs(setting, tuned=False)
        entries.append(_likelier(setting, score, "untuned", before))
    if setting.tuned:
        after = _score_pairs(setting, tuned=True)
        entries.append(_likelier(setting, score, "tuned", after, before=before))
    return entries


def _samples(setting: Setting, entries: Sequence[Entry]) -> Sequence[Sample]:
    """Return what the untuned and the tuned model write to the first few prompts, beside the chosen answer.

    Nothing says which of them is right: that is what pairs are for.
    """
    items = setting.items[: setting.options.samples]
    if not items:
        return []
    length = setting.options.excerpt
    written: dict[str, list[str]] = {}
    for name, tuned in (("untuned", False), ("tuned", True)):
        if setting.tuned if tuned else setting.options.untuned:
            with models.open_speaker(setting, tuned=tuned) as speaker:
                written[name], _ = speaker.answer(
                    [item.question for item in items],
                    max_tokens=SAMPLE_TOKENS,
                    tuned=tuned,
                    work=f"{name}, a few answers",
                )
    return [
        Sample(
            text=_short(item.text, length),
            expected=_short(joined(pair.chosen), 2 * length),
            answers={name: _short(answers[index], 2 * length) for name, answers in written.items()},
            right=dict.fromkeys(written),
        )
        for index, (item, pair) in enumerate(zip(items, pairs_of(setting)))
    ]


def _likelier(setting: Setting, score: Score, name: str, scores: _Scores, *, before: _Scores | None = None) -> Entry:
    """Return which answers a model finds likelier.

    Args:
        setting: its items are pairs.
        score: by the metric `pairs`.
        name: `untuned` or `tuned`.
        scores: of that model.
        before: of the untuned model, for what rose more.
    """
    tuned = name == "tuned"
    lost, n = int(scores.too_long.sum()), len(scores.too_long)
    metrics = {"the likelier per token": share_right(scores.margins(scores.means))}
    if before is not None:
        metrics["the one that rose more"] = share_right(scores.margins(scores.sums - before.sums))
    answers = Answers(
        [],
        seconds_train=setting.training_seconds() if tuned else 0.0,
        ms_per_item=1000 * scores.seconds / max(1, n),
        mb_on_disk=setting.megabytes(tuned=tuned),
        note=f"{lost:,} of {n:,} pairs are too long for the model and count as wrong" if lost else "",
        metrics=metrics,
    )
    margins = scores.margins(scores.sums)
    return pair_entry(setting, score, name, f"{name}, the likelier answer", name, margins, answers)


def _score_pairs(setting: Setting, *, tuned: bool) -> _Scores:
    """Return how likely a model finds both answers of every pair."""
    began = time.perf_counter()
    with models.open_runner(setting, tuned=tuned) as (runner, tokenizer):
        sequences = [
            render_answer(tokenizer, pair.prompt, answer, tools=pair.tools)
            for pair in pairs_of(setting)
            for answer in (pair.chosen, pair.rejected)
        ]
        fits = np.array([len(sequence.ids) <= setting.spec.context_length for sequence in sequences])
        values = score_sequences(
            runner,
            [sequence for sequence, fit in zip(sequences, fits, strict=True) if fit],
            tokens_per_block=setting.options.tokens_per_block,
            work="tuned" if tuned else "untuned",
            watch=setting.watch,
        )
    sums, means = np.zeros(len(sequences)), np.zeros(len(sequences))
    sums[fits] = [value.sum(dtype=np.float64) for value in values]
    means[fits] = [value.mean(dtype=np.float64) for value in values]
    return _Scores(
        sums.reshape(-1, 2),
        means.reshape(-1, 2),
        np.logical_not(fits.reshape(-1, 2).all(axis=1)),
        time.perf_counter() - began,
    )


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


KIND = TaskKind(
    title="preferences",
    answers="pair",
    applies=_applies,
    items=items_of_pairs,
    entries=_entries,
    default_metric=lambda items: ("pairs", "of two answers one is better"),
    fits_cheap_models=False,
    samples=_samples,
)
