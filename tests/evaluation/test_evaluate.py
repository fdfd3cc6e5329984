"""The whole evaluation on a tiny real model: rows, files, items, and data that cannot be evaluated."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_samples import LABELS, labelled, questions, with_identity, write_data

from dizuo import models
from dizuo.data import Dataset, Task
from dizuo.errors import EvaluationError
from dizuo.evaluation import EvaluateOptions, Report, cheap_rows, evaluate, probe, recommend
from dizuo.evaluation.answering.likelihood import score_labels
from dizuo.evaluation.baselines import five_shot
from dizuo.evaluation.setting import items_of
from dizuo.events import Event, Progress
from dizuo.models import adapters
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Origin, Text
from dizuo.trees import Runner

FAST = {"embedder": "none", "five_shot_items": 12, "served_items": 16, "samples": 3}


@pytest.fixture(scope="module")
def found(
    spec: Any, news: Dataset, adapter: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Report, Path, list[Event]]:
    out, events = tmp_path_factory.mktemp("report"), list[Event]()
    report = evaluate(spec, news, adapter=adapter, options=EvaluateOptions(**FAST), out=out, watch=events.append)
    return report, out, events


def test_a_report_has_every_row_on_all_items_or_says_on_how_many(found: Any) -> None:
    report = found[0]
    assert {row.name: row.n for row in report.rows} == {
        "majority": 40, "tfidf": 40, "untuned": 40, "five_shot": 12, "tuned": 40, "served": 16,
    }  # fmt: skip
    assert report.n == 40
    assert report.absent == {"small encoder + logistic regression": "not wanted (embedder: none)"}
    tfidf, tuned = report.row("tfidf"), report.tuned
    assert tfidf is not None
    assert tuned is not None
    assert tfidf.score > 0.8
    assert report.best_cheap is tfidf
    assert "the cheap model wins" in report.verdict  # a random model learns nothing


def test_figures_of_cost_are_there_and_finite(found: Any) -> None:
    report = found[0]
    for row in report.rows:
        assert row.ms_per_item is not None
        assert np.isfinite(row.ms_per_item)
        assert row.mb_on_disk is not None
    tuned, untuned = report.row("tuned"), report.row("untuned")
    assert tuned.mb_on_disk > untuned.mb_on_disk > 0  # the base and the adapter
    assert tuned.seconds_train == pytest.approx(8 * 0.5 + 2 * 0.25)  # from the run's metrics.jsonl
    assert untuned.seconds_train == 0


def test_the_scored_row_is_what_scoring_gives(found: Any, spec: Any, news: Dataset, adapter: Path) -> None:
    model = models.load(spec)
    module = adapters.load(model, adapter).eval()
    items = items_of(news.test, news.task)
    scores = score_labels(Runner(module), model.tokenizer, [item.question.messages for item in items], LABELS)
    right = [LABELS[i] == item.answer for i, item in zip(scores.sums.argmax(1), items)]
    assert found[0].tuned.score == pytest.approx(np.mean(right))


def test_the_two_files_hold_the_same_report(found: Any) -> None:
    report, out, _ = found
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "report.json"]
    again = Report.open(out)
    assert again.to_json() == report.to_json()
    assert again.rows == report.rows
    json.dumps(report.to_json(), allow_nan=False)
    page = (out / "report.html").read_text("utf-8")
    assert report.verdict.split(" (")[0] in page
    assert page.count("<svg") > 10


def test_what_changed_adds_up_and_every_item_shown_did_change(found: Any) -> None:
    changes = found[0].changes
    assert changes.num_fixed + changes.num_broken + changes.num_same == changes.n == 40
    assert changes.num_fixed - changes.num_broken == round(40 * (found[0].tuned.score - found[0].untuned.score))
    for item in changes.fixed:
        assert item.after == item.expected != item.before
        assert item.origin.startswith("news.csv:")
    for item in changes.broken:
        assert item.before == item.expected != item.after


def test_confusions_and_slices_count_every_item(found: Any) -> None:
    report = found[0]
    assert report.labels == LABELS
    for one in report.confusion.values():
        assert sum(map(sum, one.matrix)) == 40
    assert sum(one.n for one in report.slices) == 40
    mean = sum(one.n * one.right["tuned"] for one in report.slices) / 40
    assert mean == pytest.approx(report.tuned.score)


def test_reliability_counts_every_item_and_its_mean_is_the_score(found: Any) -> None:
    report = found[0]
    bins = report.reliability["tuned"].bins
    assert sum(one.n for one in bins) == 40
    assert sum(one.n * one.accuracy for one in bins) / 40 == pytest.approx(report.tuned.score)


def test_the_curve_ends_at_the_table_and_starts_at_no_training(found: Any) -> None:
    curve = found[0].curve
    assert [point[0] for point in curve["tfidf"].points] == [30, 120]
    assert curve["tfidf"].points[-1][1] == found[0].row("tfidf").score
    assert curve["tuned"].points[0][:2] == (120, found[0].tuned.score)
    assert curve["untuned"].points[0][0] == 0


def test_the_losses_are_the_runs_without_a_line_that_was_cut_short(found: Any) -> None:
    losses = found[0].losses
    assert len(losses) == 10
    assert losses[0] == {"step": 1, "loss": 2.0, "seconds": 0.5}


def test_answers_are_shown_side_by_side(found: Any) -> None:
    samples = found[0].samples
    assert len(samples) == 3
    assert [list(sample.answers) for sample in samples] == [["untuned", "tuned"]] * 3


def test_long_work_reports_progress(found: Any) -> None:
    works = {event.work for event in found[2] if isinstance(event, Progress)}
    assert {"untuned", "tuned, as scored", "tuned, as served"} <= works


def test_the_same_seed_gives_the_same_report_but_for_the_clock(
    spec: Any, news: Dataset, adapter: Path, found: Any
) -> None:
    again = evaluate(spec, news, adapter=adapter, options=EvaluateOptions(**FAST)).to_json()
    before = found[0].to_json()
    for value in (again, before):
        for row in value["rows"]:
            row.update(ms_per_item=0, seconds_train=0)
        value["verdict"] = value["verdict"].split(" trains in ")[0]
    assert again == before


def test_an_answer_that_is_no_label_counts_as_wrong(found: Any) -> None:
    served = found[0].row("served")
    assert served.n == 16
    assert served.score < 1
    assert "count as wrong" in served.note  # a random model writes nonsense


def test_without_a_tuned_model_only_the_untuned_one_is_scored(spec: Any, news: Dataset) -> None:
    options = EvaluateOptions(embedder="none", samples=0, curve=False, max_items=10, baselines=("majority",))
    report = evaluate(spec, news, options=options)
    assert [(row.name, row.n) for row in report.rows] == [("majority", 10), ("untuned", 10), ("five_shot", 10)]
    assert report.verdict.startswith("Nothing was tuned.")
    assert not report.changes


def test_a_fully_trained_model_is_scored_from_its_own_weights(spec: Any, news: Dataset, tmp_path: Path) -> None:
    from evaluation_samples import write_model

    weights = write_model(tmp_path / "model", seed=3)
    options = EvaluateOptions(**{**FAST, "max_items": 20, "curve": False, "baselines": ("majority",)})
    report = evaluate(spec, news, weights=weights, options=options)
    other = models.load(models.inspect(weights))
    items = items_of(news.test, news.task, limit=20)
    scores = score_labels(Runner(other.module), other.tokenizer, [item.question.messages for item in items], LABELS)
    right = [LABELS[i] == item.answer for i, item in zip(scores.sums.argmax(1), items)]
    assert report.tuned is not None
    assert report.tuned.score == pytest.approx(np.mean(right))


@pytest.mark.parametrize("calibration", ["contextual", "prior"])
def test_calibration_is_stated(spec: Any, news: Dataset, calibration: str) -> None:
    options = EvaluateOptions(embedder="none", samples=0, curve=False, max_items=6, calibration=calibration)
    report = evaluate(spec, news, options=options)
    assert report.untuned is not None
    assert report.untuned.note == f"calibrated: {calibration}"


def test_examples_that_do_not_fit_are_a_reason_not_a_crash(spec: Any, news: Dataset) -> None:
    options = EvaluateOptions(embedder="none", samples=0, curve=False, max_items=4, shots=60)
    report = evaluate(spec, news, options=options)
    assert "the model reads 512" in report.absent["untuned, 60 examples in the prompt"]


def test_written_answers_are_scored_beside_the_nearest_training_answer(
    spec: Any, adapter: Path, tmp_path: Path
) -> None:
    data = write_data(tmp_path, train=questions(30), test=questions(8, seed=1), task=Task("generation"))
    report = evaluate(spec, data, adapter=adapter, options=EvaluateOptions(shots=2, samples=2), out=tmp_path / "r")
    assert [(row.name, row.n) for row in report.rows] == [
        ("nearest", 8), ("untuned", 8), ("five_shot", 8), ("tuned", 8),
    ]  # fmt: skip
    assert report.metric == "exact match"
    for name in ("untuned", "tuned"):
        row = report.row(name)
        assert row is not None
        assert row.metrics["perplexity of the right answers"] > 1
        assert {"chrF", "ROUGE-L", "token F1"} <= set(row.metrics)
    assert len(report.samples) == 2
    assert {mark for sample in report.samples for mark in sample.right.values()} <= {True, False}
    assert (tmp_path / "r" / "report.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_graded_answer_is_called_neither_right_nor_wrong(spec: Any, adapter: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=questions(30), test=questions(8, seed=1), task=Task("generation"))
    options = EvaluateOptions(metric="chrf", shots=2, samples=2)
    report = evaluate(spec, data, adapter=adapter, options=options, out=tmp_path / "r")
    marks = [mark for sample in report.samples for mark in sample.right.values()]
    assert marks
    assert False not in marks


def test_a_probe_scores_a_sample_of_the_training_rows_and_leaves_the_test_alone(spec: Any, news: Dataset) -> None:
    options = EvaluateOptions(embedder="none")
    one = probe(spec, news, sample=30, options=options)
    assert one.row.n == 30
    assert one.bits_per_byte > 0
    assert one.tokens_per_second > 0
    assert one.training_bytes > 0
    cheap, absent = cheap_rows(news, sample=30, options=options)
    assert {row.name: row.n for row in cheap} == {"majority": 30, "tfidf": 30}
    assert absent
    advice = recommend([one], cheap=cheap)
    assert advice.model == spec.id
    assert "only candidate" in advice.reason
    assert "tune one if you need more than that" in advice.reason


def test_recommending_prefers_a_clear_score_then_known_texts_then_speed(spec: Any, news: Dataset) -> None:
    from dataclasses import replace

    one = probe(spec, news, sample=20, options=EvaluateOptions(embedder="none"))

    def make(name: str, right: int, bits: float, speed: float) -> Any:
        values = tuple(float(i < right) for i in range(40))
        row = replace(one.row, score=right / 40, n=40)
        return replace(one, model=name, values=values, row=row, bits_per_byte=bits, tokens_per_second=speed)

    clear = recommend([make("good", 38, 2.0, 10), make("bad", 8, 1.0, 99)])
    assert (clear.model, "significantly" in clear.reason) == ("good", True)
    known = recommend([make("a", 10, 1.5, 99), make("b", 9, 1.0, 10)])
    assert (known.model, "knows your texts best" in known.reason) == ("b", True)
    fast = recommend([make("a", 10, 1.0, 10), make("b", 9, 1.01, 99)])
    assert (fast.model, "fastest" in fast.reason) == ("b", True)
    with pytest.raises(EvaluationError, match="no model was probed"):
        recommend([])


def test_data_that_cannot_be_evaluated_says_why(spec: Any, news: Dataset, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="the validation split has no rows"):
        evaluate(spec, news, split="validation")
    with pytest.raises(EvaluationError, match="no split 'tests'"):
        evaluate(spec, news, split="tests")
    rows = [Feedback((Message("user", "q"),), (Message("assistant", "a"),), True, origin=Origin("f.jsonl", 1))]
    data = write_data(tmp_path, train=rows, test=rows, task=Task("feedback"))
    with pytest.raises(EvaluationError, match="classification, generation and preferences can be evaluated"):
        evaluate(spec, data)


def test_a_label_that_training_never_saw_is_wrong_not_a_crash(spec: Any, tmp_path: Path) -> None:
    strange = Labelled("match goal", ("unheard of",), origin=Origin("news.csv", 1))
    data = write_data(tmp_path, test=[*labelled(5, seed=2), strange])
    options = EvaluateOptions(embedder="none", samples=0, curve=False)
    report = evaluate(spec, data, options=options)
    assert all(row.n == 6 for row in report.rows)
    assert next(one for one in report.slices if one.label == "unheard of").right["untuned"] == 0.0


def test_wrong_options_are_reported_together() -> None:
    with pytest.raises(EvaluationError) as caught:
        EvaluateOptions(split="tests", normalisation="tokens", shots=0, confidence=95)
    assert str(caught.value).splitlines() == [
        "wrong options of evaluate",
        "  split is 'tests' (did you mean 'test'?); one of: test, validation, train",
        "  normalisation is 'tokens' (did you mean 'token'?); one of: sum, token, byte",
        "  shots is 0; a number from 1",
        "  confidence is 95; between 0 and 1, such as 0.95",
        "",
        "hint: see the fields of EvaluateOptions",
    ]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"version": 99, "rows": []}'])
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content)
    with pytest.raises(EvaluationError, match=r"no report|is no report"):
        Report.open(tmp_path)


def test_a_missing_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="evaluate first"):
        Report.open(tmp_path)


def test_importing_the_options_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, dizuo.evaluation.options, dizuo.evaluation, dizuo.pages;"
        "print([name for name in ('torch', 'transformers', 'numpy', 'sklearn', 'jinja2') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# Raw prompts with completions: read and answered without a template, as they were trained.


def raw_rows(count: int, *, seed: int = 0) -> list[Example]:
    """Return prompts that are continued by two words of theirs."""
    chats = [row for row in questions(count, seed=seed) if isinstance(row, Chat)]
    rows = [Text(chat.messages[1].content, prompt=f"{chat.messages[0].content} ->") for chat in chats]
    return [with_identity(row) for row in rows]


def test_raw_prompts_are_answered_and_scored_without_a_template(spec: Any, adapter: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path, train=raw_rows(30), test=raw_rows(12, seed=1), task=Task("text"))
    options = EvaluateOptions(embedder="none", max_tokens=6, shots=3)
    report = evaluate(spec, data, adapter=adapter, options=options)
    assert (report.kind, report.metric) == ("text", "exact match")
    assert [row.name for row in report.rows] == ["nearest", "untuned", "five_shot", "tuned"]
    model = models.load(spec)
    tokenizer = model.tokenizer
    texts = [(item.prompt, item.text) for item in data.test]
    totals = [0.0, 0]
    for prompt, completion in texts:
        before = [tokenizer.bos_token_id] if tokenizer("")["input_ids"] else []
        start = [*before, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        ids = [*start, *tokenizer(completion, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        with torch.no_grad():
            logs = torch.log_softmax(model.module(input_ids=torch.tensor([ids])).logits[0].double(), -1)
        totals[0] -= sum(float(logs[place - 1, ids[place]]) for place in range(len(start), len(ids)))
        totals[1] += len(completion.encode())
    untuned = report.row("untuned")
    assert untuned is not None
    assert untuned.metrics["bits per byte of the right answers"] == pytest.approx(
        totals[0] / math.log(2) / totals[1], rel=1e-4
    )
    # What it wrote is what transformers writes greedily after the same tokens, up to the end of text.
    prompt = texts[0][0]
    start = tokenizer(prompt, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        written = model.module.generate(
            start, max_new_tokens=6, do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=0
        )
    assert report.samples[0].answers["untuned"] == tokenizer.decode(written[0, start.shape[1] :], True).strip()[:300]


def test_raw_examples_stand_before_a_raw_prompt_with_their_answers() -> None:
    rows = [("2 + 2 =", " 4"), ("3 + 3 =", " 6")]
    ask = five_shot.prompts(rows, labels=(), options=EvaluateOptions(shots=2))
    text = ask("5 + 1 =")
    assert sorted(str(text).split("\n\n")) == ["2 + 2 = 4", "3 + 3 = 6", "5 + 1 ="]
    assert str(text).endswith("\n\n5 + 1 =")
    assert ask("2 + 2 =") == "3 + 3 = 6\n\n2 + 2 ="


def test_running_text_is_refused(spec: Any, tmp_path: Path) -> None:
    rows = [with_identity(Text(f"a story {i}", origin=Origin("book.txt", i + 1))) for i in range(6)]
    data = write_data(tmp_path, train=rows, test=rows, task=Task("text"))
    with pytest.raises(EvaluationError, match=r"book\.txt:1 is running text without a question"):
        evaluate(spec, data)
