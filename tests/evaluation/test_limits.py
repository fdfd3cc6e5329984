"""What does not fit, what is not there, and what was seen before: counted and said, never scored as if it were fine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_samples import LABELS, labelled, questions, write_data

from dizuo import models
from dizuo.data import Dataset, Task
from dizuo.errors import EvaluationError
from dizuo.evaluation import EvaluateOptions, evaluate
from dizuo.evaluation.answering.answers import Absent
from dizuo.evaluation.answering.likelihood import contextual_bias, score_labels
from dizuo.evaluation.baselines import embedder, five_shot, majority, nearest, tfidf
from dizuo.evaluation.kinds.classification import EMPTY_TEXTS
from dizuo.evaluation.metrics.accuracy import accuracy
from dizuo.evaluation.reporting.learning_curve import stratify
from dizuo.evaluation.setting import ChatPrompt, items_of
from dizuo.records import Labelled, Message, Origin, with_identity
from dizuo.trees import Runner

QUICK: dict[str, Any] = {"embedder": "none", "samples": 0, "curve": False, "baselines": ("majority",)}


def long_row(label: str) -> Labelled:
    return with_identity(Labelled("the bank said " * 300, (label,), origin=Origin("news.csv", 99)))


@pytest.fixture(scope="module")
def model(spec: Any) -> models.Model:
    return models.load(spec)


# Questions that are longer than the model reads.


def test_a_question_past_the_context_is_not_scored_but_counted(spec: Any, model: models.Model) -> None:
    runner, tokenizer = Runner(model.module), model.tokenizer
    asked = [(Message("user", text),) for text in ("the match", "the bank said " * 300, "a song")]
    scores = score_labels(runner, tokenizer, asked, LABELS, context_length=spec.context_length)
    assert scores.too_long.tolist() == [False, True, False]
    alone = score_labels(runner, tokenizer, asked[::2], LABELS)
    assert np.allclose(scores.sums[[0, 2]], alone.sums, atol=1e-4)
    for how in ("sum", "token", "byte"):
        assert np.allclose(scores.probabilities(how)[1], 1 / len(LABELS))  # type: ignore[arg-type]
    assert np.allclose(contextual_bias(scores), contextual_bias(alone), atol=1e-5)


def test_a_written_answer_that_is_missing_has_its_true_reason(spec: Any, tmp_path: Path) -> None:
    rows = [*questions(4), with_identity(replace(questions(1)[0], messages=(
        Message("user", "the bank said " * 300), Message("assistant", "a song"))))]  # fmt: skip
    data = write_data(tmp_path, train=questions(6), test=rows, task=Task("generation"))
    report = evaluate(spec, data, options=EvaluateOptions(max_tokens=8, **{**QUICK, "baselines": ("nearest",)}))
    untuned = report.untuned
    assert untuned is not None
    assert untuned.n == 5
    assert "1 of 5 questions are, with their answer, more than the 512 tokens that the model reads" in untuned.note
    assert "empty" not in untuned.note or "1 of 5 answers are empty" not in untuned.note


def test_the_limit_is_the_longest_label_with_its_end_of_turn(model: models.Model) -> None:
    from dizuo.evaluation.answering.likelihood import question_sequences

    runner, asked = Runner(model.module), [(Message("user", "the match"),)]
    (sequences,) = question_sequences(model.tokenizer, asked, LABELS)
    longest = max(len(sequence.ids) for sequence in sequences)
    for limit, expected in ((longest, False), (longest - 1, True)):
        scores = score_labels(runner, model.tokenizer, asked, LABELS, context_length=limit)
        assert scores.too_long.tolist() == [expected]


def test_a_question_past_the_context_is_wrong_in_the_scored_row_as_in_the_served_one(
    spec: Any, adapter: Path, tmp_path: Path
) -> None:
    # Whatever the label: one of the three would be right by chance.
    rows = [*labelled(5, seed=2), *(long_row(label) for label in LABELS)]
    report = evaluate(spec, write_data(tmp_path, test=rows), adapter=adapter, options=EvaluateOptions(**QUICK))
    scores = score_labels_of(spec, report)
    for name in ("untuned", "five_shot", "tuned"):
        row = report.row(name)
        assert row is not None, report.absent
        assert row.n == 8
        assert row.note == "3 of 8 questions are more than the 512 tokens that the model reads and count as wrong"
        assert row.score <= 5 / 8
        assert row.metrics["accuracy, sum over the label"] == pytest.approx(row.score)
    assert scores == report.untuned.score * 8  # type: ignore[union-attr]


def score_labels_of(spec: Any, report: Any) -> float:
    model = models.load(spec)
    items = items_of(labelled(5, seed=2), Task("classification", "Which section is this?", LABELS))
    scores = score_labels(Runner(model.module), model.tokenizer, [item.question.messages for item in items], LABELS)
    assert report.n == 8
    return float(sum(LABELS[i] == item.answer for i, item in zip(scores.sums.argmax(1), items)))


# Calibration.


@pytest.mark.parametrize("main", ["sum", "token", "byte"])
def test_every_normalisation_is_calibrated_by_its_own_bias(
    spec: Any, news: Dataset, model: models.Model, main: str
) -> None:
    from dizuo.data import prompt_messages

    options = EvaluateOptions(**QUICK, calibration="contextual", normalisation=main)
    report = evaluate(spec, news, options=options)
    assert report.untuned is not None
    assert news.task is not None
    runner, items = Runner(model.module), items_of(news.test, news.task)
    empty = [prompt_messages(text, news.task) for text in EMPTY_TEXTS]
    neutral = score_labels(runner, model.tokenizer, empty, LABELS)
    scores = score_labels(runner, model.tokenizer, [item.question.messages for item in items], LABELS)
    for how, title in (("sum", "sum over the label"), ("token", "per token"), ("byte", "per UTF-8 byte")):
        best = scores.normalised(how, bias=contextual_bias(neutral, how)).argmax(1)  # type: ignore[arg-type]
        right = accuracy([LABELS[i] for i in best], [item.references for item in items]).mean()
        assert report.untuned.metrics[f"accuracy, {title}"] == pytest.approx(right), how


def test_calibrating_with_training_rows_needs_some(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=[long_row("money")], test=labelled(3))
    with pytest.raises(EvaluationError, match="no questions to calibrate with"):
        evaluate(spec, data, options=EvaluateOptions(**QUICK, calibration="prior"))


# Training rows that are not there.


@pytest.mark.parametrize("module", [majority, tfidf, embedder, nearest])
def test_a_cheap_model_without_training_rows_is_absent_with_the_reason(module: Any) -> None:
    with pytest.raises(Absent, match="no training rows"):
        module.fit([], labels=LABELS, options=EvaluateOptions())


def without_training_rows(folder: Path, data: Dataset) -> Dataset:
    from dizuo.data import open as open_dataset
    from dizuo.data.dataset import SplitWriter

    with SplitWriter(data.folder / "train.arrow", kind=type(data.test[0])):
        pass
    return open_dataset(folder)


def test_an_evaluation_without_training_rows_has_the_other_rows(spec: Any, tmp_path: Path) -> None:
    data = without_training_rows(tmp_path, write_data(tmp_path, test=labelled(6)))
    report = evaluate(spec, data, options=EvaluateOptions(embedder="none", samples=0))
    assert [(row.name, row.n) for row in report.rows] == [("untuned", 6)]
    assert report.absent["majority label"] == "there are no training rows"
    assert report.absent["TF-IDF + logistic regression"] == "there are no training rows"
    assert "no training rows" in report.absent["untuned, 5 examples in the prompt"]


def test_written_answers_without_training_rows_have_the_other_rows(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=questions(3), test=questions(4, seed=1), task=Task("generation"))
    report = evaluate(spec, without_training_rows(tmp_path, data), options=EvaluateOptions(samples=0))
    assert [row.name for row in report.rows] == ["untuned"]
    assert set(report.absent) == {"nearest training answer", "untuned, 5 examples in the prompt"}


@pytest.mark.parametrize(("count", "title"), [(1, "1 example in"), (3, "3 examples in"), (30, "5 examples in")])
def test_the_title_names_the_examples_that_there_are(spec: Any, tmp_path: Path, count: int, title: str) -> None:
    data = write_data(tmp_path, train=questions(count), test=questions(2, seed=1), task=Task("generation"))
    row = evaluate(spec, data, options=EvaluateOptions(samples=0)).row("five_shot")
    assert row is not None
    assert row.title == f"untuned, {title} the prompt"


# Examples.


def test_written_answers_say_when_the_examples_do_not_fit(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=questions(80), test=questions(3, seed=1), task=Task("generation"))
    report = evaluate(spec, data, options=EvaluateOptions(samples=0, shots=60))
    assert report.row("five_shot") is None
    assert "the model reads 512" in report.absent["untuned, 60 examples in the prompt"]


def test_a_question_is_never_among_its_own_examples() -> None:
    rows = [(ChatPrompt((Message("user", f"q{i}"),)), Message("assistant", f"a{i % 2}")) for i in range(8)]
    options = EvaluateOptions(shots=4)
    ask = five_shot.prompts(rows, labels=("a0", "a1"), options=options)
    usual = ask(ChatPrompt((Message("user", "another"),))).messages[:-1]
    assert len(usual) == 8
    drawn = 0
    for question, _ in rows:
        *before, last = ask(question).messages
        assert last == question.messages[0]
        assert last not in before
        assert len(before) == 8
        drawn += tuple(before) != usual
    assert drawn == 4  # the others keep the examples that everyone has


def test_scoring_the_training_rows_is_said_in_their_rows_and_in_the_verdict(
    spec: Any, news: Dataset, adapter: Path
) -> None:
    options = EvaluateOptions(**QUICK, max_items=6)
    report = evaluate(spec, news, split="train", adapter=adapter, options=options)
    for row in report.rows:
        assert ("trained on the scored rows" in row.note) == (row.family != "untuned"), row.name
    assert "training rows" in report.verdict
    other = evaluate(spec, news, adapter=adapter, options=options)
    assert not any("trained on" in row.note for row in other.rows)
    assert "training rows" not in other.verdict


# The curve.


def test_every_beginning_of_the_curves_order_has_the_labels_in_their_proportions() -> None:
    random = np.random.default_rng(0)
    answers = random.choice(["a", "b", "c", "d"], p=[0.6, 0.25, 0.1, 0.05], size=400).tolist()
    order = stratify(answers)
    assert sorted(order) == list(range(400))
    shares = {label: answers.count(label) / 400 for label in "abcd"}
    for size in range(1, 401):
        for label, share in shares.items():
            assert abs(sum(answers[i] == label for i in order[:size]) - share * size) < 2
    for label in shares:  # seeded order within a label
        places = [i for i in order if answers[i] == label]
        assert places == sorted(places)


def test_the_small_draws_of_the_curve_have_every_label_when_the_rows_are_sorted(spec: Any, tmp_path: Path) -> None:
    rows = sorted(labelled(120, strength=0.9), key=lambda row: row.labels)  # type: ignore[union-attr]
    data = write_data(tmp_path, train=rows, test=labelled(40, seed=1, strength=0.9))
    options = EvaluateOptions(embedder="none", samples=0, five_shot_items=2, baselines=("tfidf",), max_items=40)
    points = evaluate(spec, data, options=options).curve["tfidf"].points
    assert [point[0] for point in points] == [30, 120]
    assert points[0][1] > 0.85  # the first 30 rows have one label only
