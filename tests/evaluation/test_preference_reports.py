"""Reports on preference pairs: what is likelier before and after, against a pass over single sequences and by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_samples import WORDS, write_data

from dizuo import models
from dizuo.data import Task
from dizuo.data.rendering.conversations import render_answer
from dizuo.evaluation import EvaluateOptions, Report, evaluate
from dizuo.models import adapters
from dizuo.records import Message, Origin, Preference, with_identity
from dizuo.significance import mcnemar_exact, proportion

TASK = Task("preference")


def pairs(count: int) -> list[Preference]:
    """Return pairs whose better answer is the longer one in two of three."""
    money, sport = WORDS["money"], WORDS["sport"]
    out = []
    for n in range(count):
        long = " ".join(money[(n + k) % 8] for k in range(4 + n % 3))
        short = " ".join(sport[(n + k) % 8] for k in range(1 + n % 2))
        chosen, rejected = (long, short) if n % 3 else (short, long)
        prompt = (Message("user", f"{money[n % 8]} {n}"),)
        if n % 4 == 1:
            prompt = (*prompt, Message("assistant", "the"), Message("user", sport[n % 8]))
        pair = Preference(prompt, (Message("assistant", chosen),), (Message("assistant", rejected),))
        out.append(with_identity(replace(pair, origin=Origin("pairs.jsonl", n + 1))))  # type: ignore[arg-type]
    return out  # type: ignore[return-value]


@torch.no_grad()
def one_by_one(spec: Any, rows: list[Preference], adapter: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return Σ log p and its mean per token of every answer, [n, 2]: transformers alone, a sequence at a time."""
    model = models.load(spec)
    module: Any = model.module if adapter is None else adapters.load(model, adapter).eval()
    sums, means = [], []
    for pair in rows:
        for answer in (pair.chosen, pair.rejected):
            one = render_answer(model.tokenizer, pair.prompt, answer)
            ids = torch.from_numpy(one.ids.astype(np.int64))[None]
            table = torch.log_softmax(module(input_ids=ids).logits[0].double(), -1)
            places = np.flatnonzero(one.weights)
            values = [float(table[place - 1, ids[0, place]]) for place in places]
            sums.append(sum(values))
            means.append(sum(values) / len(values))
    return np.array(sums).reshape(-1, 2), np.array(means).reshape(-1, 2)


@pytest.fixture(scope="module")
def rows() -> list[Preference]:
    return pairs(24)


@pytest.fixture(scope="module")
def report(spec: Any, adapter: Path, rows: list[Preference], tmp_path_factory: pytest.TempPathFactory) -> Report:
    out = tmp_path_factory.mktemp("report")
    data = write_data(tmp_path_factory.mktemp("pairs"), train=pairs(3), test=rows, task=TASK)
    evaluate(spec, data, adapter=adapter, options=EvaluateOptions(samples=2), out=out)
    return Report.open(out)


def test_rows_are_what_single_sequences_give(report: Report, spec: Any, adapter: Path, rows: list[Preference]) -> None:
    before, after = one_by_one(spec, rows, None), one_by_one(spec, rows, adapter)
    for name, (sums, means) in {"untuned": before, "tuned": after}.items():
        row = report.row(name)
        right = sums[:, 0] > sums[:, 1]
        assert row is not None
        assert row.score == right.mean()
        interval = proportion(int(right.sum()), 24)
        assert (row.low, row.high, row.interval) == (interval.low, interval.high, "clopper-pearson")
        assert row.metrics["the likelier per token"] == (means[:, 0] > means[:, 1]).mean()
    tuned = report.tuned
    assert tuned is not None
    rose = (after[0] - before[0]) @ [1, -1] > 0
    assert tuned.metrics["the one that rose more"] == rose.mean()
    gained = (after[0] @ [1, -1] > 0).astype(int) - (before[0] @ [1, -1] > 0).astype(int)
    assert tuned.p_vs_untuned == mcnemar_exact(int((gained > 0).sum()), int((gained < 0).sum()))
    assert report.changes is not None
    assert report.changes.num_fixed == (gained > 0).sum()
    assert report.changes.num_broken == (gained < 0).sum()


def test_the_length_of_answers_is_a_baseline_in_both_directions(report: Report) -> None:
    longer, shorter = report.row("longer"), report.row("shorter")
    assert longer is not None
    assert shorter is not None
    assert longer.score == pytest.approx(2 / 3)
    assert shorter.score == pytest.approx(1 / 3)
    assert report.best_cheap == longer
    assert report.kind == "preference"
    assert report.metric == "pairs ranked right"


def test_a_few_prompts_are_answered_by_both_models(report: Report, rows: list[Preference]) -> None:
    assert len(report.samples) == 2
    for sample, pair in zip(report.samples, rows, strict=False):
        assert sample.expected == pair.chosen[0].content
        assert list(sample.answers) == ["untuned", "tuned"]
        assert sample.right == {"untuned": None, "tuned": None}


def test_a_pair_that_is_too_long_is_wrong_and_said_so(spec: Any, adapter: Path, tmp_path: Path) -> None:
    rows = pairs(6)
    rows[2] = replace(rows[2], chosen=(Message("assistant", "bank " * 600),))
    data = write_data(tmp_path, train=pairs(3), test=rows, task=TASK)
    report = evaluate(spec, data, adapter=adapter, options=EvaluateOptions(samples=0))
    sums, _ = one_by_one(spec, [row for n, row in enumerate(rows) if n != 2], None)
    untuned = report.row("untuned")
    assert untuned is not None
    assert untuned.n == 6
    assert untuned.score == (sums[:, 0] > sums[:, 1]).sum() / 6
    assert untuned.note == "1 of 6 pairs are too long for the model and count as wrong"


def test_pairs_that_are_level_count_half(spec: Any, tmp_path: Path) -> None:
    rows = [replace(row, rejected=row.chosen) for row in pairs(4)]
    data = write_data(tmp_path, train=pairs(3), test=rows, task=TASK)
    report = evaluate(spec, data, options=EvaluateOptions(samples=0))
    assert [row.score for row in report.rows] == [0.5, 0.5, 0.5]
    assert report.tuned is None
