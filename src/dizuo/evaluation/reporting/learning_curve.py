"""The learning curve: the score of cheap baselines with fewer training rows, and where the tuned model stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dizuo.evaluation.answering.cheap import cheap_answers, choose_baselines
from dizuo.evaluation.reporting.parts import Curve
from dizuo.evaluation.reporting.rows import Entry, interval_of
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import Setting, labels_of
from dizuo.events import ignore

__all__ = ["choose_sizes", "learning_curve", "stratify"]

SMALLEST = 20
FACTOR = 4


def choose_sizes(rows: int) -> list[int]:
    """Return the numbers of training rows to try: all, a quarter, a sixteenth, … down to 20."""
    counts: list[int] = []
    while rows >= SMALLEST and len(counts) < 4:
        counts.append(rows)
        rows //= FACTOR
    return counts[::-1]


def stratify(answers: Sequence[str]) -> list[int]:
    """Return the rows in an order of which every beginning has the labels in their proportions.

    Within a label the order stays as it was, which in a data set is a seeded random one.
    """
    counts, seen = Counter(answers), Counter[str]()
    places = []
    for row, answer in enumerate(answers):
        places.append(((seen[answer] + 0.5) / counts[answer], row))
        seen[answer] += 1
    return [row for _, row in sorted(places)]


def learning_curve(setting: Setting, score: Score, entries: Sequence[Entry]) -> dict[str, Curve]:
    """Return the score over the number of training rows by row name, on the same items.

    Every draw has the labels in their proportions, and holds the smaller ones: 20 rows drawn without regard to labels
    would measure the luck of the draw.
    """
    labels = labels_of(setting)
    rows = [setting.train[i] for i in stratify([item.answer for item in setting.train])]
    curve: dict[str, Curve] = {}
    for entry in entries:
        if entry.family != "cheap" or entry.name == "majority":
            continue
        points = []
        baselines = choose_baselines([entry.name], answers="label")
        for size in choose_sizes(len(rows))[:-1]:
            fewer = replace(setting, train=rows[:size], watch=ignore)
            # A small draw may hold a single label: then there is no point at this size.
            for baseline, answers in cheap_answers(fewer, baselines, {}, labels=labels):
                smaller = score.entry(
                    baseline.name, baseline.title, entry.family, setting.items, answers, labels=labels
                )
                points.append(_point(size, smaller, setting))
        curve[entry.name] = Curve(entry.title, (*points, _point(len(rows), entry, setting)))
    for name, size in (("tuned", len(setting.data.train)), ("untuned", 0)):
        for entry in entries:
            if entry.name == name:
                curve[name] = Curve(entry.title, (_point(size, entry, setting),))
    return curve


def _point(size: int, entry: Entry, setting: Setting) -> tuple[float, float, float, float]:
    interval = interval_of(entry, options=setting.options)
    return size, interval.estimate, interval.low, interval.high
