"""A small curve: how the cheap baselines do with fewer training rows, and where the tuned model stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from dizuo.evaluation.answering.answers import Absent
from dizuo.evaluation.kinds.classification import baseline, labels_of
from dizuo.evaluation.metrics import accuracy
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.setting import Setting
from dizuo.significance import wilson

__all__ = ["training_curve"]

SMALLEST = 20
FACTOR = 4


def sizes(rows: int) -> list[int]:
    """Return the numbers of training rows to try: all, a quarter, a sixteenth, … down to 20."""
    found: list[int] = []
    while rows >= SMALLEST and len(found) < 4:
        found.append(rows)
        rows //= FACTOR
    return found[::-1]


def stratified(answers: Sequence[str]) -> list[int]:
    """Return the rows in an order of which every beginning has the labels in their proportions.

    Within a label the order stays as it was, which in a data set is a seeded random one.
    """
    counts, seen = Counter(answers), Counter[str]()
    places = []
    for row, answer in enumerate(answers):
        places.append(((seen[answer] + 0.5) / counts[answer], row))
        seen[answer] += 1
    return [row for _, row in sorted(places)]


def training_curve(setting: Setting, entries: Sequence[Entry]) -> dict[str, Any]:
    """Return, per row name, points [training rows, score, low, high] on the same items.

    Every draw has the labels in their proportions, and holds the smaller ones: 20 rows drawn without regard to labels
    would measure the luck of the draw.
    """
    labels = labels_of(setting)
    every = setting.training_rows
    rows = [every[i] for i in stratified([item.answer for item in setting.train])]
    texts = [item.text for item in setting.items]
    references = [item.references for item in setting.items]
    curve: dict[str, Any] = {}
    for entry in entries:
        if entry.family != "cheap" or entry.name == "majority":
            continue
        points = []
        module = baseline(entry.name)
        for size in sizes(len(rows))[:-1]:
            try:
                answers = module.fit(rows[:size], labels=labels, options=setting.options)(texts)
            except Absent:
                continue  # a small draw may hold a single label
            points.append(_point(size, accuracy.items(answers.texts, references), setting))
        curve[entry.name] = {"title": entry.title, "points": [*points, _point(len(rows), entry.values, setting)]}
    tuned = next((entry for entry in entries if entry.name == "tuned"), None)
    if tuned is not None:
        size = len(setting.data.train)
        curve["tuned"] = {"title": tuned.title, "points": [_point(size, tuned.values, setting)]}
    untuned = next((entry for entry in entries if entry.name == "untuned"), None)
    if untuned is not None:
        curve["untuned"] = {"title": untuned.title, "points": [_point(0, untuned.values, setting)]}
    return curve


def _point(size: int, values: Any, setting: Setting) -> list[float]:
    found = wilson(int(values.sum()), len(values), confidence=setting.options.confidence)
    return [size, found.estimate, found.low, found.high]
