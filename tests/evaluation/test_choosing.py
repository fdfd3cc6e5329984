"""Which kind of task is evaluated, and by which score: every kind with every metric and figure, used or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_samples import questions, write_data
from sklearn.metrics import f1_score

from dizuo.data import Dataset, Task
from dizuo.errors import EvaluationError
from dizuo.evaluation import EvaluateOptions, cheap_rows, evaluate, probe
from dizuo.evaluation.answering.cheap import choose_baselines
from dizuo.evaluation.baselines import BASELINES, CheapModel
from dizuo.evaluation.choosing import (
    check_rows,
    check_wanted,
    choose_kind,
    choose_score,
    fetch_models,
    usable_metrics,
)
from dizuo.evaluation.figures import FIGURES
from dizuo.evaluation.kinds import KINDS
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.setting import Item, items_of
from dizuo.models import inspect
from dizuo.models.heads import HeadFacts
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Origin, Preference, Text

TASKS = {
    "labels": Task("classification", labels=("a", "b")),
    "several": Task("classification", labels=("a", "b"), multi_label=True),
    "written": Task("generation"),
    "pairs": Task("preference"),
    "running text": Task("text"),
    "votes": Task("feedback"),
}
EVALUATED = {
    ("labels", None): "classification",
    ("labels", "classification"): "classification",
    ("labels", "multi_label"): "classification",
    ("labels", "regression"): "regression",
    ("several", None): "generation",
    ("several", "classification"): "multi_label",
    ("several", "multi_label"): "multi_label",
    ("several", "regression"): "regression",
    ("written", None): "generation",
    ("written", "regression"): "regression",
    ("running text", None): "generation",
    ("pairs", None): "preference",
    ("pairs", "reward"): "reward",
}
USABLE = {
    "classification": ("accuracy", "macro_f1"),
    "generation": ("accuracy", "chrf", "exact_match", "number", "rouge_l", "token_f1"),
    "multi_label": ("exact_match",),
    "preference": ("pairs",),
    "regression": (),
    "reward": ("pairs",),
}
DEFAULTS = {
    "classification": "accuracy",
    "generation": "chrf",
    "multi_label": "exact_match",
    "preference": "pairs",
    "regression": "",
    "reward": "pairs",
}
ITEMS = [Item("q", (), ("an answer of more than three words",))]
EVERY = (*METRICS.names(), *FIGURES.names())


@pytest.mark.parametrize("head", [None, "classification", "multi_label", "regression", "reward"])
@pytest.mark.parametrize("task", TASKS)
def test_one_kind_evaluates_a_task_and_a_head_or_it_is_refused(task: str, head: str | None) -> None:
    facts = None if head is None else HeadFacts(head)
    expected = EVALUATED.get((task, head))
    if expected is not None:
        assert choose_kind(TASKS[task], facts).name == expected
        return
    with pytest.raises(EvaluationError) as raised:
        choose_kind(TASKS[task], facts)
    if head is not None and (task, None) in EVALUATED:
        assert raised.value.message.startswith(f"the model was trained with a {head} head, and the data set's task is")
    else:
        assert raised.value.message.startswith(f"the data set has the kind {TASKS[task].kind!r}; classification,")


def test_the_tables_of_this_test_name_every_kind() -> None:
    assert tuple(USABLE) == tuple(DEFAULTS) == KINDS.names() == tuple(sorted(set(EVALUATED.values())))
    assert not set(METRICS.names()) & set(FIGURES.names())
    assert set(EVERY) > {name for names in USABLE.values() for name in names}


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("kind", KINDS.names())
def test_a_metric_is_used_or_refused_for_every_kind(kind: str, metric: str) -> None:
    loaded = KINDS.load(kind)
    assert usable_metrics(loaded) == USABLE[kind]
    if metric in USABLE[kind]:
        score = choose_score(loaded, ITEMS, asked=metric)
        assert (score.name, score.why) == (metric, "asked for")
        assert score.metric is not None
        assert (score.figure is not None) == (metric in FIGURES.names())
        return
    with pytest.raises(EvaluationError) as raised:
        choose_score(loaded, ITEMS, asked=metric)
    assert raised.value.message == f"the metric {metric!r} cannot be used for {loaded.title}"
    assert raised.value.hint is not None
    if USABLE[kind]:
        assert raised.value.hint == f"{loaded.title} can use: auto, {', '.join(USABLE[kind])}"
    else:
        assert raised.value.hint == "leave evaluate.metric at auto; the score of regression is always R²"


@pytest.mark.parametrize("kind", KINDS.names())
def test_auto_is_the_kinds_own_choice(kind: str) -> None:
    assert choose_score(KINDS.load(kind), ITEMS).name == DEFAULTS[kind]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["so it is\n#### 7", "#### 1,200"], "number"),
        (["paris", "the eiffel tower"], "exact_match"),
        (["paris", "rome", "a longer answer of several words"], "exact_match"),
        (["a" * 61, "b"], "chrf"),
        (["a longer answer of several words", "paris", "and another of the same length"], "chrf"),
    ],
)
def test_auto_looks_at_written_answers(answers: list[str], expected: str) -> None:
    items = [Item("q", (), (answer,)) for answer in answers]
    assert choose_score(KINDS.load("generation"), items).name == expected


def test_a_metric_that_does_not_exist_is_told_with_the_near_name() -> None:
    with pytest.raises(EvaluationError) as raised:
        choose_score(KINDS.load("classification"), ITEMS, asked="macro_f")
    assert str(raised.value).splitlines() == [
        "no metric is called 'macro_f' (did you mean 'macro_f1'?)",
        "",
        "hint: classification can use: auto, accuracy, macro_f1",
    ]


@pytest.mark.parametrize(
    ("task", "asked", "headed", "refused"),
    [
        ("labels", "auto", False, ""),
        ("labels", "macro_f1", False, ""),
        ("labels", "chrf", False, "the metric 'chrf' cannot be used for classification"),
        ("labels", "chrf", True, "the metric 'chrf' cannot be used for classification"),
        ("labels", "macro_f1", True, ""),  # a regression could not, and which head it will be is not known yet
        ("several", "chrf", False, ""),
        ("several", "chrf", True, "the metric 'chrf' cannot be used for classification with several labels"),
        ("pairs", "accuracy", False, "the metric 'accuracy' cannot be used for preferences"),
        ("pairs", "accuracy", True, "the metric 'accuracy' cannot be used for a reward model"),
        ("running text", "accuracy", False, ""),
        ("votes", "accuracy", False, ""),  # is not evaluated at all, which the evaluation itself says
    ],
)
def test_a_metric_is_refused_before_training(task: str, asked: str, headed: bool, refused: str) -> None:
    if not refused:
        check_wanted(TASKS[task], metric=asked, baselines=("auto",), headed=headed)
        return
    with pytest.raises(EvaluationError) as raised:
        check_wanted(TASKS[task], metric=asked, baselines=("auto",), headed=headed)
    assert raised.value.message == refused


CHEAP = [name for name, baseline in BASELINES.all().items() if isinstance(baseline.how, CheapModel)]


@pytest.mark.parametrize("baseline", CHEAP)
@pytest.mark.parametrize("kind", KINDS.names())
def test_a_baseline_is_used_or_refused_for_every_kind(kind: str, baseline: str) -> None:
    loaded = KINDS.load(kind)
    task = next(TASKS[task] for (task, _), evaluated in EVALUATED.items() if evaluated == kind)
    headed = kind in ("regression", "reward")
    if loaded.answers in BASELINES.load(baseline).answers:
        assert [found.name for found in choose_baselines([baseline], answers=loaded.answers)] == [baseline]
        check_wanted(task, metric="auto", baselines=[baseline], headed=headed)
        return
    with pytest.raises(EvaluationError) as raised:
        choose_baselines([baseline], answers=loaded.answers)
    assert raised.value.message.startswith(f"the baseline {baseline!r} answers with ")
    assert raised.value.message.endswith(f"but this task wants {loaded.answers}")
    assert raised.value.hint is not None
    assert raised.value.hint.startswith("baselines for this task: ")


@pytest.mark.parametrize(
    ("task", "baselines", "headed", "refused"),
    [
        ("labels", ["majority"], False, ""),
        ("labels", ["majority"], True, ""),
        ("labels", ["nearest"], False, "the baseline 'nearest' answers with text or labels, but this task wants label"),
        ("pairs", ["majority"], False, "the baseline 'majority' answers with label, but this task wants pair"),
        ("votes", ["majority"], False, ""),
    ],
)
def test_a_baseline_is_refused_before_training(task: str, baselines: list[str], headed: bool, refused: str) -> None:
    if not refused:
        check_wanted(TASKS[task], metric="auto", baselines=baselines, headed=headed)
        return
    with pytest.raises(EvaluationError) as raised:
        check_wanted(TASKS[task], metric="auto", baselines=baselines, headed=headed)
    assert raised.value.message == refused


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("baselines", [("auto",), ("embedder",), ("majority",)])
def test_the_model_that_a_baseline_reads_is_fetched_where_the_task_has_that_baseline(
    task: str, baselines: tuple[str, ...], encoder: Path
) -> None:
    options = EvaluateOptions(embedder=str(encoder), baselines=baselines)
    wanted = task == "labels" and baselines != ("majority",)
    read = fetch_models(TASKS[task], options=options, headed=False)
    assert read == ({"embedder": inspect(encoder).digest} if wanted else {})
    assert fetch_models(TASKS[task], options=replace(options, embedder="none"), headed=False) == {}


def test_an_encoder_that_cannot_be_had_or_is_none_is_refused_with_what_to_do(spec: Any) -> None:
    for asked, said in (("no/such/folder", "cannot be had"), (spec.folder, "is a language model")):
        with pytest.raises(EvaluationError, match=said) as raised:
            fetch_models(TASKS["labels"], options=EvaluateOptions(embedder=asked), headed=False)
        assert asked in raised.value.message
        assert "none" in str(raised.value.hint)


ROWS: dict[str, list[Example]] = {
    "labels": [Labelled("a text", ("a",))],
    "several": [Labelled("a text", ("a", "b"))],
    "written": [Chat((Message("user", "q"), Message("assistant", "a")))],
    "pairs": [
        Preference((Message("user", "q"),), (Message("assistant", "a"),), (Message("assistant", "b"),)),
    ],
    "running text": [Text("a story without a question")],
    "votes": [Feedback((Message("user", "q"),), (Message("assistant", "a"),), True)],
}
NO_ANSWER = {
    "running text": "an example is running text without a question and its right answer",
    "votes": "the data set has the kind 'feedback'; classification, generation and preferences can be evaluated",
}


@pytest.mark.parametrize("task", TASKS)
def test_rows_without_a_right_answer_are_refused_before_training(task: str) -> None:
    if task not in NO_ANSWER:
        check_rows(TASKS[task], ROWS[task], headed=False)
        return
    with pytest.raises(EvaluationError) as raised:
        check_rows(TASKS[task], ROWS[task], headed=False)
    assert raised.value.message == NO_ANSWER[task]
    assert str(raised.value.hint).endswith("dizuo train, and dizuo plan --until train, go without a report")


def test_one_row_of_running_text_among_prompts_is_found_and_named() -> None:
    rows: list[Example] = [Text("an answer", prompt=f"question {i}: ") for i in range(300)]
    check_rows(TASKS["running text"], rows, headed=False)
    rows[200] = Text("a story", origin=Origin("rows.jsonl", 201))
    with pytest.raises(EvaluationError, match=r"rows\.jsonl:201 is running text"):
        check_rows(TASKS["running text"], rows, headed=False)


# The score of a report.

QUICK: dict[str, Any] = {"embedder": "none", "five_shot_items": 12, "served_items": 16, "samples": 0}


@pytest.mark.parametrize(("metric", "title"), [("auto", "accuracy"), ("accuracy", "accuracy")])
def test_accuracy_is_what_classes_are_scored_by_unless_asked(spec: Any, news: Dataset, metric: str, title: str) -> None:
    options = EvaluateOptions(**QUICK, metric=metric, curve=False, max_items=8)
    report = evaluate(spec, news, options=options)
    assert report.metric == title
    assert {row.interval for row in report.rows} == {"clopper-pearson"}


def test_macro_f1_is_the_score_with_its_own_interval_and_tests(spec: Any, news: Dataset, adapter: Path) -> None:
    options = EvaluateOptions(**QUICK, metric="macro_f1")
    report = evaluate(spec, news, adapter=adapter, options=options)
    usual = evaluate(spec, news, adapter=adapter, options=EvaluateOptions(**QUICK))
    assert report.metric == "macro F1"
    for row in report.rows:
        other = usual.row(row.name)
        assert other is not None
        assert row.score == other.metrics["macro F1"] == row.metrics["macro F1"]
        assert row.metrics["accuracy"] == other.score
        assert row.interval == "conservative"
        assert row.low <= row.score <= row.high
        assert row.n == other.n
    tuned, untuned = report.tuned, report.untuned
    assert tuned is not None
    assert untuned is not None
    assert tuned.vs_untuned is not None
    assert tuned.vs_untuned[0] == pytest.approx(tuned.score - untuned.score)
    assert tuned.p_vs_untuned is not None
    assert f"{100 * tuned.score:.1f} % macro F1" in report.verdict
    assert report.curve["tfidf"].points[-1][1] == report.row("tfidf").score  # type: ignore[union-attr]
    assert report.changes == usual.changes
    assert report.confusion == usual.confusion


def test_macro_f1_of_a_report_is_scikit_learns(spec: Any, news: Dataset) -> None:
    report = evaluate(spec, news, options=EvaluateOptions(**QUICK, metric="macro_f1", curve=False))
    majority = report.row("majority")
    assert majority is not None
    expected = [item.answer for item in items_of(news.test, news.task)]
    said = [majority.note.removeprefix("always ").strip("'")] * len(expected)
    assert majority.score == pytest.approx(f1_score(expected, said, average="macro", zero_division=0))


@pytest.mark.parametrize("metric", ["macro_f1", "perplexity", "pairs"])
def test_a_refused_metric_loads_no_model(
    spec: Any, tmp_path: Path, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dizuo.models.load", lambda *_, **__: pytest.fail("a model was loaded"))
    data = write_data(tmp_path, train=questions(6), test=questions(3), task=Task("generation"))
    with pytest.raises(EvaluationError, match=f"the metric '{metric}' cannot be used for generation"):
        evaluate(spec, data, options=EvaluateOptions(metric=metric))


def test_models_are_compared_item_by_item_whatever_the_report_shows(spec: Any, news: Dataset) -> None:
    options = EvaluateOptions(embedder="none", metric="macro_f1")
    one = probe(spec, news, sample=10, options=options)
    assert one.metric == "accuracy"
    assert one.row.score == np.mean(one.values)
    assert {row.interval for row in cheap_rows(news, sample=10, options=options)[0]} == {"clopper-pearson"}
    with pytest.raises(EvaluationError, match="cannot be used for classification"):
        probe(spec, news, options=EvaluateOptions(metric="chrf"))


@pytest.mark.parametrize("name", ["untuned", "five_shot"])
def test_a_prompt_is_no_cheap_baseline(spec: Any, news: Dataset, name: str) -> None:
    options = EvaluateOptions(**QUICK, baselines=("majority", name))
    with pytest.raises(EvaluationError, match=f"the baseline '{name}' is a prompt of the untuned model"):
        evaluate(spec, news, options=options)


def test_a_baseline_that_does_not_exist_is_told_with_the_near_name(spec: Any, news: Dataset) -> None:
    with pytest.raises(EvaluationError, match=r"no baseline is called 'majorty' \(did you mean 'majority'\?\)"):
        evaluate(spec, news, options=EvaluateOptions(**QUICK, baselines=("majorty",)))
