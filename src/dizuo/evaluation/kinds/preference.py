"""The rows of a model that was trained on preferences: which of two answers it finds likelier, before and after.

cheap      the longer answer, and the shorter one: what pairs often give away without being read
untuned    the answer that the untuned model finds likelier, by the sum of log p over its tokens
tuned      the same of the tuned model; beside it, per token, and by the reward that DPO trains: the answer whose
           log p rose more (Rafailov et al. 2023, arXiv:2305.18290, section 4)

The sum is what the losses of DPO and KTO compare, and it favours short answers, for everybody alike: the row of the
shorter answer shows how far that alone goes. A pair is right, wrong, or level, which counts a half; one that is too
long for the model is wrong. Intervals are Wilson's and tests McNemar's where no pair is level.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dizuo.data.rendering.conversations import render_answer
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.likelihood import score_sequences
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Setting
from dizuo.records import Message, Preference

__all__ = ["TITLE", "entries", "samples"]

TITLE = "pairs ranked right"
SAMPLE_TOKENS = 48
"""Most tokens of an answer that is shown."""
Floats = NDArray[np.float64]


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

    def worth(self, table: Floats) -> Floats:
        """[n] 1 where the chosen answer has the larger number, half where both are level."""
        return np.where(self.too_long, 0.0, _worth(table[:, 0] - table[:, 1]))


def entries(setting: Setting, pairs: Sequence[Preference]) -> list[Entry]:
    """Return every row's choices.

    Args:
        setting: its items are those of the pairs.
        pairs: what is scored.
    """
    lengths = np.array([len(_text(pair.chosen)) - len(_text(pair.rejected)) for pair in pairs], np.float64)
    found = [
        _entry("longer", "the longer answer", "cheap", _worth(lengths), Answers([], mb_on_disk=0.0)),
        _entry("shorter", "the shorter answer", "cheap", _worth(-lengths), Answers([], mb_on_disk=0.0)),
    ]
    before = None
    if setting.options.untuned:
        before = _score(setting, pairs, tuned=False)
        found.append(_row(setting, "untuned", before, tuned=False))
    if setting.tuned:
        after = _score(setting, pairs, tuned=True)
        rose = None if before is None else _worth((after.sums - before.sums) @ np.array([1.0, -1.0]))
        found.append(_row(setting, "tuned", after, tuned=True, rose=rose))
    return found


def samples(setting: Setting, pairs: Sequence[Preference]) -> list[dict[str, Any]]:
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
            with models.speaker(setting, tuned=tuned) as speaker:
                written[name], _ = speaker.answer(
                    [item.question for item in items],
                    max_tokens=SAMPLE_TOKENS,
                    tuned=tuned,
                    work=f"{name}, a few answers",
                )
    return [
        {
            "text": _short(item.text, length),
            "expected": _short(_text(pair.chosen), 2 * length),
            "answers": {name: _short(answers[place], 2 * length) for name, answers in written.items()},
            "right": dict.fromkeys(written),
        }
        for place, (item, pair) in enumerate(zip(items, pairs))
    ]


def _row(setting: Setting, name: str, scores: _Scores, *, tuned: bool, rose: Floats | None = None) -> Entry:
    lost, n = int(scores.too_long.sum()), len(scores.too_long)
    metrics = {"the likelier per token": float(scores.worth(scores.means).mean())}
    if rose is not None:
        metrics["the one that rose more"] = float(np.where(scores.too_long, 0.0, rose).mean())
    answers = Answers(
        [],
        seconds_train=setting.training_seconds() if tuned else 0.0,
        ms_per_item=1000 * scores.seconds / max(1, n),
        mb_on_disk=setting.megabytes(tuned=tuned),
        note=f"{lost:,} of {n:,} pairs are too long for the model and count as wrong" if lost else "",
        metrics=metrics,
    )
    return _entry(name, f"{name}, the likelier answer", name, scores.worth(scores.sums), answers)


def _score(setting: Setting, pairs: Sequence[Preference], *, tuned: bool) -> _Scores:
    began = time.perf_counter()
    with models.runner(setting, tuned=tuned) as (runner, tokenizer):
        sequences = [
            render_answer(tokenizer, pair.prompt, answer, tools=pair.tools)
            for pair in pairs
            for answer in (pair.chosen, pair.rejected)
        ]
        fits = np.array([len(one.ids) <= setting.spec.context_length for one in sequences])
        values = score_sequences(
            runner,
            [one for one, fit in zip(sequences, fits, strict=True) if fit],
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


def _entry(name: str, title: str, family: str, values: Floats, answers: Answers) -> Entry:
    texts = ["the better answer" if value == 1 else "the worse answer" if value == 0 else "level" for value in values]
    filled: dict[str, Any] = {
        field: getattr(answers, field) for field in ("seconds_train", "ms_per_item", "mb_on_disk", "note", "metrics")
    }
    return Entry(name, title, family, Answers(texts, None, **filled), values)


def _worth(margin: Floats) -> Floats:
    worth: Floats = (margin > 0) + 0.5 * (margin == 0)
    return worth


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length] + "…"


def _text(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.content for message in messages)
