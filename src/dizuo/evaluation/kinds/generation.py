"""Written answers: the nearest training answer, the untuned model without and with examples, the tuned one.

A raw prompt with its completion is a question with its right answer; running text has neither and is refused. Several
labels without a trained head are written answers, too: the model writes them in a row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.answering import models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.cheap import cheap_answers, choose_baselines
from dizuo.evaluation.answering.written import (
    max_tokens,
    show_metrics,
    untuned_entries,
    with_likelihood,
    write_answers,
)
from dizuo.evaluation.calls import calls_in
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.reporting import findings
from dizuo.evaluation.reporting.parts import Sample
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Item, Setting, items_of
from dizuo.trees import Runner

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["KIND"]


def _applies(task: Task, head: HeadFacts | None) -> bool:
    several = task.kind == "classification" and task.multi_label
    return head is None and (task.kind in ("generation", "text") or several)


def _default_metric(items: Sequence[Item]) -> tuple[str, str]:
    """Return (the metric's name, why): what the right answers look like."""
    answers = [item.answer for item in items]
    if answers and 2 * sum(calls_in(answer) is not None for answer in answers) >= len(answers):
        return "exact_match", "answers are calls"
    if answers and all(re.search(r"####\s*[-−]?[\d,.]+\s*$", answer) for answer in answers):
        return "number", "every answer ends in #### and a number"
    if answers and np.median([len(answer.split()) for answer in answers]) <= 3 and max(map(len, answers)) <= 60:
        return "exact_match", "answers are short"
    return "chrf", "answers are texts"


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    options = setting.options
    questions = [item.question for item in setting.items]
    longest = max_tokens(setting)
    entries = _cheap(setting, score, absent)

    def add_tuned(speaker: models.Speaker) -> None:
        answers = write_answers(setting, speaker, questions, longest=longest, tuned=True, work="tuned")
        entries.append(score.entry("tuned", "tuned", "tuned", setting.items, answers))

    with models.open_speaker(setting, tuned=setting.weights is not None and not options.untuned) as speaker:
        if options.untuned or not setting.tuned:
            entries += untuned_entries(setting, score, speaker, absent, longest=longest)
        if setting.adapter is not None:
            add_tuned(speaker)
    if setting.weights is not None:
        with models.open_speaker(setting, tuned=True) as speaker:
            add_tuned(speaker)
    show_metrics(setting, entries)
    return [
        with_likelihood(setting, entry, tuned=entry.name == "tuned") if entry.name in ("untuned", "tuned") else entry
        for entry in entries
    ]


def _cheap(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    baselines = choose_baselines(setting.options.baselines, answers=KIND.answers)
    return [
        score.entry(baseline.name, baseline.title, "cheap", setting.items, answers)
        for baseline, answers in cheap_answers(setting, baselines, absent)
    ]


def _probe(setting: Setting, score: Score, runner: Runner, tokenizer: Tokenizer) -> Entry:
    with models.open_speaker(setting, tuned=False) as speaker:
        texts, seconds = speaker.answer(
            [item.question for item in setting.items],
            max_tokens=max_tokens(setting),
            tuned=False,
            work=f"answer with {setting.spec.id}",
        )
    answers = Answers(texts, ms_per_item=1000 * seconds / len(texts), mb_on_disk=setting.megabytes(tuned=False))
    return score.entry("untuned", setting.spec.id, "untuned", setting.items, answers)


def _samples(setting: Setting, entries: Sequence[Entry]) -> Sequence[Sample]:
    """Return a few items with what both models wrote."""
    count = min(setting.options.samples, len(setting.items))
    written = {entry.name: entry.answers.texts[:count] for entry in entries if entry.name in ("untuned", "tuned")}
    graded = any(((entry.values > 0) & (entry.values < 1)).any() for entry in entries)
    return findings.side_by_side(setting, written, count=count, graded=graded)


KIND = TaskKind(
    title="generation",
    answers="text",
    applies=_applies,
    items=items_of,
    entries=_entries,
    default_metric=_default_metric,
    figures=("perplexity", "bits_per_byte"),
    written=True,
    samples=_samples,
    cheap=_cheap,
    probe=_probe,
)
