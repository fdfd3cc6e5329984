"""What a person wants to see behind the scores: what changed, confusions, calibration, answers side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dizuo.evaluation.calls import same_answer
from dizuo.evaluation.figures import brier, calibration
from dizuo.evaluation.reporting.parts import (
    Change,
    Changes,
    Confusion,
    History,
    Moment,
    Reliability,
    Sample,
    Slice,
)
from dizuo.evaluation.reporting.report import Report
from dizuo.evaluation.reporting.rows import Entry, best_cheap
from dizuo.evaluation.setting import Item, Setting, labels_of

__all__ = ["SAMPLE_TOKENS", "add_label_findings", "answers_over_time", "find_changes", "side_by_side"]

LARGEST_MATRIX = 40
"""Labels up to which the whole confusion matrix is kept; beyond, the most frequent confusions."""
PAIRS = 20
SAMPLE_TOKENS = 48
"""Tokens that a model may write in an answer that is only shown."""


def add_label_findings(report: Report, setting: Setting, entries: Sequence[Entry]) -> None:
    """Fill in the labels, confusions, the share right per label, and reliability charts."""
    labels = labels_of(setting)
    expected = [item.answer for item in setting.items]
    report.labels = labels
    shown = [entry for entry in entries if entry.name in ("untuned", "tuned")]
    cheap = best_cheap(entries)
    confused = [*shown, *([cheap] if cheap is not None else [])]
    report.confusion = {entry.name: _confusion(entry, expected, labels) for entry in confused}
    report.slices = tuple(_slices(confused, expected))
    report.reliability = {
        entry.name: Reliability(
            title=entry.title,
            bins=tuple(calibration.reliability_bins(entry.answers.probabilities.max(axis=1), entry.values.tolist())),
            ece=entry.answers.metrics[calibration.FIGURE.title],
            brier=entry.answers.metrics[brier.FIGURE.title],
        )
        for entry in shown
        if entry.answers.probabilities is not None
    }


def find_changes(setting: Setting, entries: Sequence[Entry], *, binary: bool) -> Changes | None:
    """Return which items training fixed and which it broke, compared with the untuned model.

    Args:
        setting: what is evaluated.
        entries: None is returned where the untuned or the tuned model is not among them.
        binary: answers are right or wrong; else one counts as changed when its score moves by a tenth.
    """
    by_name = {entry.name: entry for entry in entries}
    before, after = by_name.get("untuned"), by_name.get("tuned")
    if before is None or after is None:
        return None
    n = min(len(before.values), len(after.values))
    gain = after.values[:n] - before.values[:n]
    least = 1.0 if binary else 0.1
    fixed, broken = np.flatnonzero(gain >= least), np.flatnonzero(gain <= -least)
    random = np.random.default_rng([setting.options.seed, 0xC4A6])

    def draw(places: Any) -> tuple[Change, ...]:
        most = setting.options.changes
        kept = places if len(places) <= most else np.sort(random.choice(places, size=most, replace=False))
        return tuple(_change(setting.items[int(i)], int(i), before, after, setting.options.excerpt) for i in kept)

    return Changes(
        num_fixed=len(fixed),
        num_broken=len(broken),
        num_same=n - len(fixed) - len(broken),
        n=n,
        fixed=draw(fixed),
        broken=draw(broken),
    )


def side_by_side(setting: Setting, written: Mapping[str, Sequence[str]], *, count: int, graded: bool) -> list[Sample]:
    """Return the first items with what each model wrote, as a user would read it.

    Args:
        setting: what is evaluated.
        written: answers to the first items by `untuned` and `tuned`.
        count: number of items.
        graded: an answer may be partly right, as with chrF; one that is not word for word right is then neither.
    """
    excerpt = setting.options.excerpt
    samples = []
    for index, item in enumerate(setting.items[:count]):
        answers = {title: texts[index] for title, texts in written.items() if index < len(texts)}
        samples.append(
            Sample(
                text=_short(item.text, excerpt),
                expected=_short(item.answer, 2 * excerpt),
                answers={title: _short(text, 2 * excerpt) for title, text in answers.items()},
                right={title: _is_right(text, item) or (None if graded else False) for title, text in answers.items()},
            )
        )
    return samples


def answers_over_time(setting: Setting) -> list[History]:
    """Return the run's samples.jsonl item by item."""
    length = setting.options.excerpt
    items: dict[str, History] = {}
    for line in setting.samples():
        new = History(_short(line.text, length), _short(line.expected, 2 * length), ())
        history = items.get(line.item, new)
        moment = Moment(line.step, _short(line.answer or line.note, 2 * length), bool(line.right))
        items[line.item] = History(history.text, history.expected, (*history.answers, moment))
    return list(items.values())


def _change(item: Item, index: int, before: Entry, after: Entry, length: int) -> Change:
    return Change(
        item=index,
        origin=item.origin,
        text=_short(item.text, length),
        expected=_short(item.answer, length),
        before=_short(before.answers.texts[index], length),
        after=_short(after.answers.texts[index], length),
    )


def _confusion(entry: Entry, expected: Sequence[str], labels: Sequence[str]) -> Confusion:
    said = [text.strip() for text in entry.answers.texts]
    counts = Counter((true, answer) for true, answer in zip(expected, said))
    pairs = [(true, answer, count) for (true, answer), count in counts.most_common() if true != answer][:PAIRS]
    matrix = None
    if len(labels) <= LARGEST_MATRIX:
        matrix = [[counts[true, answer] for answer in labels] for true in labels]
        other = [
            sum(count for (true, answer), count in counts.items() if true == label and answer not in labels)
            for label in labels
        ]
        if any(other):
            matrix = [[*row, extra] for row, extra in zip(matrix, other)]
    return Confusion(entry.title, tuple(pairs), None if matrix is None else tuple(map(tuple, matrix)))


def _slices(entries: Sequence[Entry], expected: Sequence[str]) -> list[Slice]:
    slices = []
    for label in sorted(set(expected)):
        places = [i for i, answer in enumerate(expected) if answer == label]
        right: dict[str, float | None] = {}
        for entry in entries:
            values = [entry.values[i] for i in places if i < len(entry.values)]
            right[entry.name] = float(np.mean(values)) if values else None
        slices.append(Slice(label, len(places), right))
    return slices


def _is_right(text: str, item: Item) -> bool:
    return text.strip() in item.references or any(same_answer(text, reference) for reference in item.references)


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
