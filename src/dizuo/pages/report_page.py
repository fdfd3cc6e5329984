"""The page of an evaluation: the verdict first, then the figures behind it, then the items themselves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dizuo.languages import say_on_page
from dizuo.pages import charts
from dizuo.pages.page import render

__all__ = ["draw"]

SHOWN_SLICES = 24
MOMENTS = 8
"""Answers to one item over the training that are shown."""
NUMBERED = 16
"""Labels up to which the cells of a confusion matrix carry their counts."""


def draw(value: Mapping[str, Any]) -> str:
    """Return the page; `value` is a report's JSON."""
    rows = list(value["rows"])
    least = _least(rows)
    shown = [
        {
            **row,
            "chart": charts.interval(
                row["low"], row["score"], row["high"], family=row["family"], least=least,
                label=f"{row['title']}: {100 * row['score']:.1f} % ({100 * row['low']:.1f}–{100 * row['high']:.1f})",
            ),
        }
        for row in rows
    ]  # fmt: skip
    by_name = {row["name"]: row for row in rows}
    order = list(by_name)
    curve = {
        name: {**series, "family": _family(name, by_name)}
        for name, series in sorted(
            value["curve"].items(), key=lambda pair: order.index(pair[0]) if pair[0] in order else -1
        )
    }
    return render(
        "report.html",
        report={**value, "samples": [_sample(sample) for sample in value["samples"]]},
        over_time=[{**question, "moments": _moments(question["answers"])} for question in value.get("over_time", ())],
        rows=shown,
        axis=charts.interval_axis(least=least),
        least=least,
        by_name=by_name,
        loss=charts.loss(value["losses"]),
        has_validation=any("validation_loss" in line for line in value["losses"]),
        curve=charts.lines(curve, x="training rows"),
        curve_names=[(series["family"], series["title"]) for series in curve.values()],
        matrices=[
            _matrix(name, confusion, list(value["labels"]), by_name)
            for name, confusion in _sort_rows(value["confusion"])
            if name in ("untuned", "tuned") or name == _best_cheap(rows)
        ],
        reliability=[
            {
                **calibration,
                "name": name,
                "chart": charts.reliability(
                    calibration["bins"], family=name, label=f"{calibration['title']}: confidence against share right"
                ),
            }
            for name, calibration in _sort_rows(value["reliability"])
        ],
        slices=_slices(value["slices"]),
        num_slices=len(value["slices"]),
        metric_names=list(dict.fromkeys(name for row in rows for name in row["metrics"])),
    )


def _sort_rows(by_row: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the entries in reading order: cheap, untuned, tuned."""
    rank = {"untuned": 1, "tuned": 2}
    return sorted(by_row.items(), key=lambda pair: rank.get(pair[0], 0))


def _sample(sample: Mapping[str, Any]) -> dict[str, Any]:
    """Return a sample with the untuned answer first."""
    answers = sorted(sample["answers"].items(), key=lambda pair: pair[0] == "tuned")
    return {**sample, "answers": dict(answers)}


def _moments(answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return answers in time, equal ones in a row as one; of many the first, the last, and some evenly between."""
    runs: list[dict[str, Any]] = []
    for answer in answers:
        if runs and (runs[-1]["answer"], runs[-1]["right"]) == (answer["answer"], answer["right"]):
            runs[-1]["last"] = answer["step"]
        else:
            runs.append({**answer, "first": answer["step"], "last": answer["step"]})
    for run in runs:
        run["when"] = f"step {run['first']:,}" if run["first"] == run["last"] else f"{run['first']:,}–{run['last']:,}"
    if len(runs) <= MOMENTS:
        return runs
    return [runs[round(i * (len(runs) - 1) / (MOMENTS - 1))] for i in range(MOMENTS)]


def _best_cheap(rows: Sequence[Mapping[str, Any]]) -> str | None:
    cheap = [row for row in rows if row["family"] == "cheap"]
    return str(max(cheap, key=lambda row: row["score"])["name"]) if cheap else None


def _family(name: str, rows: Mapping[str, Any]) -> str:
    if name in rows:
        family = str(rows[name]["family"])
        return f"{family} {name}"
    return "cheap"


def _least(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return where the score axis begins: 0, unless every row is far from it."""
    low = min((row["low"] for row in rows), default=0.0)
    return 0.0 if low < 0.5 else math.floor(10 * low) / 10


def _matrix(name: str, confusion: Mapping[str, Any], labels: list[str], rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return a confusion matrix with a shade from 0 to 9 per cell, by its share of the row."""
    matrix = confusion.get("matrix")
    shaded: dict[str, Any] = {
        "name": name,
        "title": confusion["title"],
        "pairs": confusion["pairs"][:8],
        "cells": None,
        "numbered": False,
    }
    if not matrix:
        return shaded
    shaded["columns"] = [*labels, say_on_page("no label")] if len(matrix[0]) > len(labels) else labels
    shaded["numbered"] = len(labels) <= NUMBERED
    shaded["cells"] = [
        (
            label,
            [
                {
                    "n": count,
                    "shade": min(9, math.ceil(9 * count / max(1, sum(row)))),
                    "right": column == number,
                    "title": f"{label} → {shaded['columns'][column]}: {count:,} of {sum(row):,}",
                }
                for column, count in enumerate(row)
            ],
        )
        for number, (label, row) in enumerate(zip(labels, matrix, strict=True))
    ]
    return shaded


def _slices(slices: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the labels with the lowest tuned score first, each with its line from before to after."""
    rows = []
    for row in slices:
        before, after = row["right"].get("untuned"), row["right"].get("tuned")
        label = f"{row['label']}: {_said(before)} before, {_said(after)} after"
        rows.append({**row, "before": before, "after": after, "chart": charts.slope(before, after, label=label)})
    rows.sort(key=lambda row: (row["after"] if row["after"] is not None else row["before"] or 0.0, row["label"]))
    return rows[:SHOWN_SLICES]


def _said(share: float | None) -> str:
    return "not scored" if share is None else f"{100 * share:.0f} %"
