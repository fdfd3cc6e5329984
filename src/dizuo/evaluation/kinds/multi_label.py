"""Several labels at once by a trained head; the untuned model and the nearest training row write theirs as text.

An answer is right when all of its labels are, and no other; micro F1 over all (row, label) decisions stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from dizuo.data.rendering.prompts import SEPARATOR
from dizuo.evaluation.answering import heads, models
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.answering.cheap import cheap_answers, choose_baselines
from dizuo.evaluation.answering.written import max_tokens, show_metrics, untuned_entries, with_likelihood
from dizuo.evaluation.kinds import TaskKind
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Setting, items_of

if TYPE_CHECKING:
    from dizuo.data import Task
    from dizuo.models.heads import HeadFacts

__all__ = ["KIND"]


def _applies(task: Task, head: HeadFacts | None) -> bool:
    labelled = head is not None and head.kind in ("classification", "multi_label")
    return task.kind == "classification" and task.multi_label and labelled


def _entries(setting: Setting, score: Score, absent: dict[str, str]) -> list[Entry]:
    assert setting.head is not None
    baselines = choose_baselines(setting.options.baselines, answers=KIND.answers)
    entries = [
        score.entry(baseline.name, baseline.title, "cheap", setting.items, answers)
        for baseline, answers in cheap_answers(setting, baselines, absent)
    ]
    if setting.options.untuned:
        with models.open_speaker(setting, tuned=False) as speaker:
            entries += untuned_entries(setting, score, speaker, absent, longest=max_tokens(setting))
    show_metrics(setting, entries)
    scored, served = heads.answer_with_head(setting, setting.head, setting.head.facts.labels)
    entries.append(_entry(setting, "tuned", "tuned, as scored", scored))
    entries.append(_entry(setting, "served", "tuned, as served", served))
    return [with_likelihood(setting, entry, tuned=False) if entry.name == "untuned" else entry for entry in entries]


def _entry(setting: Setting, name: str, title: str, answers: Answers) -> Entry:
    """Return the head's answers, compared with the right ones as sets: the order of labels says nothing."""
    said = [_labels(text) for text in answers.texts]
    expected = [_labels(item.answer) for item in setting.items[: len(said)]]
    values = np.array([float(mine == right) for mine, right in zip(said, expected)])
    metrics = {**answers.metrics, "micro F1": _micro_f1(said, expected)}
    return Entry(name, title, "tuned", replace(answers, metrics=metrics), values)


def _labels(text: str) -> frozenset[str]:
    return frozenset(label for label in text.split(SEPARATOR) if label)


def _micro_f1(said: Sequence[frozenset[str]], expected: Sequence[frozenset[str]]) -> float:
    """Return the F1 over all (row, label) decisions together."""
    right = sum(len(a & b) for a, b in zip(said, expected))
    total = sum(len(a) for a in said) + sum(len(b) for b in expected)
    return 2 * right / total if total else 1.0


KIND = TaskKind(
    title="classification with several labels",
    answers="labels",
    applies=_applies,
    items=items_of,
    entries=_entries,
    default_metric=lambda items: ("exact_match", "an answer is right when all of its labels are"),
    figures=("perplexity", "bits_per_byte"),
    written=True,
)
