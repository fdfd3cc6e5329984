"""Rows, verdict, gate: what is said must be what the items say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dizuo.evaluation import Report, Row, unmet
from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.reporting.rows import Entry, compare, make_rows
from dizuo.evaluation.reporting.verdict import verdict
from dizuo.significance import mcnemar_exact, wilson

OPTIONS = EvaluateOptions()


def entry(name: str, family: str, right: list[int] | np.ndarray, *, seconds: float | None = 1.0) -> Entry:
    values = np.asarray(right, float)
    return Entry(name, name, family, Answers([""] * len(values), seconds_train=seconds), values)


def mixed(n: int, right: int, *, first: int = 0) -> np.ndarray:
    """n items of which `right` are right, beginning with number `first`."""
    values = np.zeros(n)
    values[(np.arange(right) + first) % n] = 1
    return values


def table(tuned: np.ndarray, untuned: np.ndarray, cheap: np.ndarray) -> list[Row]:
    entries = [entry("tfidf", "cheap", cheap), entry("untuned", "untuned", untuned), entry("tuned", "tuned", tuned)]
    return make_rows(entries, options=OPTIONS)


def test_right_and_wrong_get_wilson_and_mcnemar() -> None:
    a, b = mixed(100, 80), mixed(100, 60, first=30)
    rows = {row.name: row for row in table(a, b, mixed(100, 50))}
    assert (rows["tuned"].low, rows["tuned"].high) == (wilson(80, 100).low, wilson(80, 100).high)
    assert rows["tuned"].interval == "wilson"
    only_a, only_b = int((a > b).sum()), int((b > a).sum())
    assert rows["tuned"].p_vs_untuned == mcnemar_exact(only_a, only_b)
    assert rows["untuned"].p_vs_untuned is None
    assert rows["tfidf"].p_vs_best_cheap is None
    assert rows["tuned"].vs_untuned is not None
    assert rows["tuned"].vs_untuned[0] == pytest.approx(0.2)


def test_graded_answers_get_the_interval_of_a_bounded_mean() -> None:
    random = np.random.default_rng(0)
    rows = table(random.random(50), random.random(50), random.random(50))
    assert {row.interval for row in rows} == {"score"}
    few = table(random.random(49), random.random(49), random.random(49))
    assert {row.interval for row in few} == {"conservative"}
    assert all(row.low < row.score < row.high for row in rows)


def test_rows_of_different_size_are_compared_on_the_items_that_both_have() -> None:
    short, long = mixed(10, 10), np.concatenate((mixed(10, 0), mixed(90, 90)))
    found = compare(short, long, options=OPTIONS)
    assert found.difference == 1.0
    assert found.p == mcnemar_exact(10, 0)


def test_the_best_cheap_row_is_the_one_compared_with() -> None:
    entries = [
        entry("majority", "cheap", mixed(50, 10)),
        entry("tfidf", "cheap", mixed(50, 40)),
        entry("tuned", "tuned", mixed(50, 45)),
    ]
    rows = {row.name: row for row in make_rows(entries, options=OPTIONS)}
    assert rows["tfidf"].p_vs_best_cheap is None
    assert rows["tuned"].vs_best_cheap is not None
    assert rows["tuned"].vs_best_cheap[0] == pytest.approx(0.1)
    assert rows["majority"].p_vs_best_cheap is not None


@pytest.mark.parametrize(
    ("tuned", "untuned", "cheap", "said", "unsaid"),
    [
        (95, 20, 60, ["75.0 points more than before", "It beats tfidf (60.0 %) by 35.0 points"], ["cheap one"]),
        (90, 20, 92, ["It cannot be told from tfidf", "the cheap one would do", "show a difference"], ["beats"]),
        (93, 20, 92, ["It cannot be told from tfidf", "the cheap one would do"], ["beats"]),
        (60, 20, 95, ["tfidf is better, by 35.0 points", "the cheap model wins"], ["beats"]),
        (22, 20, 10, ["no difference that 100 items can show"], ["more than before"]),
        (20, 80, 10, ["Tuning made it worse"], ["more than before"]),
    ],
)
def test_the_verdict_is_honest_whoever_wins(
    tuned: int, untuned: int, cheap: int, said: list[str], unsaid: list[str]
) -> None:
    line = verdict(table(mixed(100, tuned), mixed(100, untuned), mixed(100, cheap)), metric="accuracy")
    for part in said:
        assert part in line
    for part in unsaid:
        assert part not in line


def test_a_verdict_without_a_tuned_model_claims_nothing() -> None:
    rows = make_rows(
        [entry("tfidf", "cheap", mixed(20, 15)), entry("untuned", "untuned", mixed(20, 5))], options=OPTIONS
    )
    assert verdict(rows, metric="accuracy").startswith("Nothing was tuned.")
    assert "75.0 %" in verdict(rows, metric="accuracy")


def report(tuned: np.ndarray, untuned: np.ndarray, cheap: np.ndarray, **changes: Any) -> Report:
    rows = tuple(table(tuned, untuned, cheap))
    values: dict[str, Any] = {
        "model": "m", "dataset": "d", "split": "test", "kind": "classification", "metric": "accuracy",
        "confidence": 0.95, "n": len(tuned), "rows": rows, "verdict": "…", **changes,
    }  # fmt: skip
    return Report(**values)


def test_the_gate_opens_for_a_model_that_is_better() -> None:
    good = report(mixed(100, 95), mixed(100, 20), mixed(100, 60))
    assert unmet(good, better_than_baselines=True, min_score=0.9) == ()


@pytest.mark.parametrize(
    ("tuned", "untuned", "cheap", "asked", "said"),
    [
        (20, 80, 10, {}, "accuracy is 0.200, not higher than 0.800 of the untuned model (untuned, 100 items)"),
        (22, 20, 10, {}, "which may be chance (p = 0.5, 100 items)"),
        (90, 20, 95, {"better_than_baselines": True}, "not higher than 0.950 of the best cheap baseline (tfidf"),
        (90, 20, 10, {"min_score": 0.91}, "accuracy is 0.900, and must be at least 0.910 (100 items)"),
    ],
)
def test_the_gate_says_why_it_stays_closed(
    tuned: int, untuned: int, cheap: int, asked: dict[str, Any], said: str
) -> None:
    (reason,) = unmet(report(mixed(100, tuned), mixed(100, untuned), mixed(100, cheap)), **asked)
    assert said in reason


@pytest.mark.parametrize(
    ("scored", "served", "count", "closed"),
    [
        (100, 0, 16, True),  # 100 % as scored and 0 % as served
        (95, 70, 100, True),
        (70, 95, 100, True),  # better, but another model all the same
        (95, 94, 100, False),
        (100, 0, 5, False),  # five items cannot tell
        (90, 84, 100, False),  # 6 of 6: p = 0.03
        (90, 82, 100, True),  # 8 of 8: p = 0.008
    ],
)
def test_the_gate_is_closed_for_a_model_that_is_served_otherwise_than_scored(
    scored: int, served: int, count: int, closed: bool
) -> None:
    as_scored, as_served = mixed(100, scored), mixed(100, served)[:count]
    entries = [
        entry("untuned", "untuned", mixed(100, 10)), entry("tuned", "tuned", as_scored),
        entry("served", "tuned", as_served),
    ]  # fmt: skip
    rows = make_rows(entries, options=OPTIONS)
    row = rows[2]
    a, b = as_served, as_scored[:count]
    assert row.p_vs_scored == mcnemar_exact(int((a > b).sum()), int((b > a).sum()))
    assert (rows[1].p_vs_scored, rows[1].vs_scored) == (None, None)
    found = report(mixed(100, 1), mixed(100, 1), mixed(100, 1), rows=tuple(rows))
    line = verdict(rows, metric="accuracy")
    for asked in ({}, {"better_than_untuned": False}):
        reasons = unmet(found, **asked)
        assert len(reasons) == closed
        assert all("as served the model is not what was scored" in reason for reason in reasons)
    assert ("Served, it is another model" in line) == closed
    if closed:
        assert f"{100 * as_served.mean():.1f} % against {100 * as_scored[:count].mean():.1f} % as scored" in line
        assert f"{as_served.mean():.3f} as served and {as_scored[:count].mean():.3f} as scored" in unmet(found)[0]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_so_few_items_open_no_gate_and_the_verdict_says_that_they_are_too_few(count: int) -> None:
    found = report(np.ones(count), np.zeros(count), np.zeros(count))
    (reason,) = unmet(found)
    assert reason == f"{count} item{'s' * (count > 1)} are too few to say whether the model is better than the " + (
        "untuned model (untuned)"
    )
    line = verdict(found.rows, metric="accuracy")
    assert "are too few to say whether that is chance" in line
    assert "p <" not in line
    assert "p =" not in line
    assert unmet(report(np.ones(6), np.zeros(6), np.zeros(6))) == ()


def test_a_report_on_training_rows_opens_no_gate() -> None:
    perfect = report(mixed(100, 100), mixed(100, 20), mixed(100, 60), split="train")
    for asked in ({}, {"better_than_untuned": False, "min_score": 0.5}, {"better_than_baselines": True}):
        (reason,) = unmet(perfect, **asked)  # type: ignore[arg-type]
        assert reason.startswith("the report was made on the training rows")
    assert unmet(perfect, better_than_untuned=False) == ()  # nothing is required
    assert unmet(report(mixed(100, 100), mixed(100, 20), mixed(100, 60), split="validation")) == ()


def test_a_comparison_that_was_not_made_keeps_the_gate_closed() -> None:
    rows = make_rows([entry("tuned", "tuned", mixed(10, 10))], options=OPTIONS)
    alone = report(mixed(1, 1), mixed(1, 1), mixed(1, 1), rows=tuple(rows))
    assert "was not compared with the untuned model" in unmet(alone)[0]
    assert unmet(alone, better_than_untuned=False) == ()
    nothing = report(mixed(1, 1), mixed(1, 1), mixed(1, 1), rows=())
    assert unmet(nothing) == ("the report has no row of a tuned model",)
