"""What a person wants to see behind the scores: what changed, confusions, calibration, answers side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from dizuo import plugins
from dizuo.evaluation.answering import models
from dizuo.evaluation.figures import brier, calibration, macro_f1
from dizuo.evaluation.kinds.classification import labels_of
from dizuo.evaluation.reporting.report import Report
from dizuo.evaluation.reporting.rows import Entry, best_cheap
from dizuo.evaluation.setting import Item, Setting

__all__ = ["add_changes", "add_label_findings", "answers_over_time", "metric_title", "samples"]

LARGEST_MATRIX = 40
"""Labels up to which the whole confusion matrix is kept; beyond, the most frequent confusions."""
PAIRS = 20
SAMPLE_TOKENS = 48
"""Tokens that the untuned model may write in an answer that is shown."""


def metric_title(metric: str) -> str:
    """Return what people call a metric."""
    title: str = plugins.load("dizuo.evaluation.metrics", metric, noun="metric").TITLE
    return title


def add_label_findings(report: Report, setting: Setting, entries: Sequence[Entry]) -> None:
    """Fill in macro F1, calibration, confusions and the scores per label."""
    labels = labels_of(setting)
    expected = [item.answer for item in setting.items]
    report.labels = tuple(labels)
    by_name = {row.name: row for row in report.rows}
    for entry in entries:
        metrics = by_name[entry.name].metrics
        assert isinstance(metrics, dict)
        said = entry.answers.texts
        metrics["macro F1"] = macro_f1.value(said, expected[: len(said)])
        if entry.answers.probabilities is not None:
            probabilities = entry.answers.probabilities
            truth = [labels.index(answer) if answer in labels else -1 for answer in expected[: len(said)]]
            metrics["Brier score"] = brier.value(probabilities, truth)
            metrics["calibration error"] = calibration.value(probabilities.max(axis=1), entry.values.tolist())
    shown = [entry for entry in entries if entry.name in ("untuned", "tuned")]
    cheap = best_cheap(entries)
    confused = [*shown, *([cheap] if cheap is not None else [])]
    report.confusion = {entry.name: {"title": entry.title, **_confusion(entry, expected, labels)} for entry in confused}
    report.slices = tuple(_slices(confused, expected))
    report.reliability = {
        entry.name: {
            "title": entry.title,
            "bins": calibration.bins(entry.answers.probabilities.max(axis=1), entry.values.tolist()),
            "ece": by_name[entry.name].metrics["calibration error"],
            "brier": by_name[entry.name].metrics["Brier score"],
        }
        for entry in shown
        if entry.answers.probabilities is not None
    }


def add_changes(report: Report, setting: Setting, entries: Sequence[Entry], *, binary: bool) -> None:
    """Fill in which items training fixed and which it broke, compared with the untuned model."""
    by_name = {entry.name: entry for entry in entries}
    before, after = by_name.get("untuned"), by_name.get("tuned")
    if before is None or after is None:
        return
    n = min(len(before.values), len(after.values))
    gain = after.values[:n] - before.values[:n]
    # Answers of graded quality count as changed when their score moves by a tenth.
    least = 1.0 if binary else 0.1
    fixed, broken = np.flatnonzero(gain >= least), np.flatnonzero(gain <= -least)
    random = np.random.default_rng([setting.options.seed, 0xC4A6])

    def chosen(places: Any) -> list[dict[str, Any]]:
        most = setting.options.changes
        kept = places if len(places) <= most else np.sort(random.choice(places, size=most, replace=False))
        return [_change(setting.items[int(i)], int(i), before, after, setting.options.excerpt) for i in kept]

    report.changes = {
        "num_fixed": len(fixed),
        "num_broken": len(broken),
        "num_same": n - len(fixed) - len(broken),
        "n": n,
        "fixed": chosen(fixed),
        "broken": chosen(broken),
    }


def samples(setting: Setting, entries: Sequence[Entry], *, choice: bool) -> list[dict[str, Any]]:
    """Return a few items with what the untuned and the tuned model write, as a user would read it.

    `right` is None for an answer that is neither word for word right nor, on a graded metric such as chrF, wrong.
    """
    count = min(setting.options.samples, len(setting.items))
    if not count:
        return []
    by_name = {entry.name: entry for entry in entries}
    names = {"untuned": "untuned", "served": "tuned"} if choice else {"untuned": "untuned", "tuned": "tuned"}
    written: dict[str, list[str]] = {}
    for name, title in names.items():
        if name in by_name and not (choice and name == "untuned"):
            written[title] = list(by_name[name].answers.texts[:count])
    if choice and (setting.options.untuned or not setting.tuned):
        with models.speaker(setting, tuned=False) as speaker:
            questions = [item.question for item in setting.items[:count]]
            answers, _ = speaker.answer(questions, max_tokens=SAMPLE_TOKENS, tuned=False, work="untuned, a few answers")
        written = {"untuned": answers, **written}
    graded = not choice and any(((entry.values > 0) & (entry.values < 1)).any() for entry in entries)
    out = []
    for place, item in enumerate(setting.items[:count]):
        answers_here = {title: texts[place] for title, texts in written.items() if place < len(texts)}
        out.append(
            {
                "text": _short(item.text, setting.options.excerpt),
                "expected": _short(item.answer, 2 * setting.options.excerpt),
                "answers": {title: _short(text, 2 * setting.options.excerpt) for title, text in answers_here.items()},
                "right": {
                    title: text.strip() in item.references or (None if graded else False)
                    for title, text in answers_here.items()
                },
            }
        )
    return out


def answers_over_time(setting: Setting) -> list[dict[str, Any]]:
    """Return the run's samples.jsonl item by item: `text`, `expected`, and `answers` [{step, answer, right}]."""
    length = setting.options.excerpt
    items: dict[str, dict[str, Any]] = {}
    for line in setting.samples():
        start = {"text": _short(line["text"], length), "expected": _short(line["expected"], 2 * length), "answers": []}
        answer = _short(line["answer"] or line["note"], 2 * length)
        one = items.setdefault(line["item"], start)
        one["answers"].append({"step": line["step"], "answer": answer, "right": bool(line["right"])})
    return list(items.values())


def _change(item: Item, place: int, before: Entry, after: Entry, length: int) -> dict[str, Any]:
    return {
        "item": place,
        "origin": item.origin,
        "text": _short(item.text, length),
        "expected": _short(item.answer, length),
        "before": _short(before.answers.texts[place], length),
        "after": _short(after.answers.texts[place], length),
    }


def _confusion(entry: Entry, expected: Sequence[str], labels: Sequence[str]) -> dict[str, Any]:
    said = [text.strip() for text in entry.answers.texts]
    pairs = Counter((true, answer) for true, answer in zip(expected, said))
    out: dict[str, Any] = {
        "pairs": [[true, answer, count] for (true, answer), count in pairs.most_common() if true != answer][:PAIRS]
    }
    if len(labels) <= LARGEST_MATRIX:
        matrix = [[pairs[true, answer] for answer in labels] for true in labels]
        other = [
            sum(count for (true, answer), count in pairs.items() if true == label and answer not in labels)
            for label in labels
        ]
        out["matrix"] = [[*row, extra] for row, extra in zip(matrix, other)] if any(other) else matrix
    return out


def _slices(entries: Sequence[Entry], expected: Sequence[str]) -> list[dict[str, Any]]:
    out = []
    for label in sorted(set(expected)):
        places = [i for i, answer in enumerate(expected) if answer == label]
        row: dict[str, Any] = {"label": label, "n": len(places), "right": {}}
        for entry in entries:
            mine = [entry.values[i] for i in places if i < len(entry.values)]
            row["right"][entry.name] = float(np.mean(mine)) if mine else None
        out.append(row)
    return out


def _short(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
