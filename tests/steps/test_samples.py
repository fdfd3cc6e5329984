"""samples.jsonl: what the model answered while it was trained, and that writing it changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import dizuo
from dizuo import recipe
from dizuo.data import Dataset, Task
from dizuo.errors import ModelError, RecipeError
from dizuo.evaluation import answer_now, watched_items
from dizuo.events import Event, Metric, Warned
from dizuo.steps import samples as writing
from dizuo.steps.pipeline import Outcome

VALIDATION = ("prepare.validation=20", "train.eval_every=4", "train.checkpoint_every=3")


def go(*overrides: str, name: str = "tiny", until: str = "train", **more: Any) -> Outcome:
    return dizuo.run(
        recipe.read("tiny.yaml", overrides=(*VALIDATION, f"name={name}", *overrides), strict=False), until=until, **more
    )


def lines(run: Any) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (run.folder / "samples.jsonl").read_text("utf-8").splitlines()]


def result(run: Any) -> bytes:
    return (
        (run.weights or run.adapter)
        .joinpath("model.safetensors" if run.weights else "adapter_model.safetensors")
        .read_bytes()
    )


def test_the_answers_of_a_few_validation_rows_are_written_at_every_evaluation(place: Path) -> None:
    outcome = go("train.epochs=8", until="deploy")
    evaluations = [line["step"] for line in outcome.run.metrics() if "validation_loss" in line]
    written = lines(outcome.run)
    assert written == outcome.run.samples()
    assert [line["step"] for line in written] == [step for step in evaluations for _ in range(3)]
    assert len(evaluations) >= 3
    rows = {example.id: example for example in outcome.data.validation}
    for line in written:
        example = rows[line["item"]]
        assert (line["text"], line["expected"]) == (example.text, example.labels[0])
        assert line["prompt"].count("<|im_start|>") == 2
        assert line["prompt"].endswith("<|im_start|>assistant\n")
        assert example.text in line["prompt"]
        assert line["right"] == (line["answer"] == line["expected"])
        assert line["origin"].startswith("rows.csv:")
    first = outcome.report.over_time[0]
    assert [one.step for one in first.answers] == evaluations
    page = (place / "runs" / "tiny" / "4-evaluate" / "report.html").read_text("utf-8")
    assert "Answers while it learned" in page
    assert first.text in page
    assert "is a kind of" not in (outcome.release.folder / "report.json").read_text("utf-8")


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_writing_answers_changes_no_bit_of_the_result(place: Path, adapter: str) -> None:
    also = (f"train.adapter={adapter}", "train.dropout=0.1") if adapter == "lora" else (f"train.adapter={adapter}",)
    with_answers = go(*also, name="with").run
    without = go(*also, "train.samples=0", name="without").run
    assert lines(with_answers)
    assert not (without.folder / "samples.jsonl").exists()
    assert without.samples() == []
    assert result(with_answers) == result(without)


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_the_last_answers_are_those_of_the_finished_model(place: Path, adapter: str) -> None:
    from dizuo import models

    outcome = go(f"train.adapter={adapter}", "train.keep=last", "train.epochs=8", "train.learning_rate=0.02")
    run, data = outcome.run, outcome.data
    spec = outcome.model if run.weights is None else replace(outcome.model, folder=str(run.weights))
    loaded = models.load(spec)
    untuned = [one.answer for one in answer_now(loaded, watched_items(data, count=3), labels=data.task.labels)]
    if run.adapter is not None:
        models.adapters.load(loaded, run.adapter)
    now = answer_now(loaded, watched_items(data, count=3), labels=data.task.labels)
    written = run.samples()[-3:]
    assert [line["answer"] for line in written] == [one.answer for one in now]
    if run.adapter is not None:
        assert untuned != [one.answer for one in now]


def test_a_run_that_is_stopped_and_resumed_has_the_answers_of_one_that_was_not(place: Path) -> None:
    whole = go(name="whole").run

    def stop(event: Event) -> None:
        if isinstance(event, Metric) and event.step == 8 and "validation_loss" in event.values:
            raise KeyboardInterrupt  # after the answers of step 8 were written, before its checkpoint

    with pytest.raises(KeyboardInterrupt):
        go(watch=stop)
    partial = place / "runs" / "tiny" / "3-train.partial"
    steps = {json.loads(text)["step"] for text in (partial / "samples.jsonl").read_text().splitlines()}
    assert steps == {4, 8}
    with (partial / "samples.jsonl").open("a") as file:
        file.write('{"step": 8, "item": "cut sho')  # a kill in the middle of a line
    resumed = go().run
    assert resumed.samples() == whole.samples()
    assert lines(resumed) == lines(whole)
    assert result(resumed) == result(whole)


def test_more_or_fewer_answers_are_no_reason_to_train_again(place: Path) -> None:
    go()
    assert [step.name for step in go("train.samples=1").steps if step.ran] == []


def test_a_number_of_answers_below_zero_is_refused_with_the_other_fields(place: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        go("train.samples=-1", "train.rank=0")
    assert any("samples must be a number of rows from 0, not -1" in text for text in caught.value.details)
    assert len(caught.value.details) == 2


def test_training_goes_on_where_answers_cannot_be_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dizuo.engines

    def broken(*_: Any, **__: Any) -> Any:
        raise ModelError("an engine that is broken on purpose")

    monkeypatch.setattr(dizuo.engines, "open", broken)
    told: list[str] = []
    run = go(watch=lambda event: told.append(event.text) if isinstance(event, Warned) else None).run
    assert told == ["no answers are written to samples.jsonl: an engine that is broken on purpose"]
    assert run.finished is not None
    assert run.samples() == []


def test_a_prompt_that_is_too_long_has_no_answer_and_says_why(place: Path) -> None:
    from dizuo import models

    loaded = models.load(dizuo.select("model"))
    data = dizuo.prepare("rows.csv", instruction="fruit or metal? " * 40, test=40, validation=10)
    (one,) = answer_now(loaded, watched_items(data, count=1), labels=data.task.labels if data.task else ())
    assert (one.answer, one.right, one.note) == ("", False, "the prompt is too long for the model")


def test_rows_without_right_answers_are_not_asked(place: Path) -> None:
    (place / "text.txt").write_text("".join(f"line number {i} of some text\n\n" for i in range(30)))
    data = dizuo.prepare("text.txt", validation=5)
    assert isinstance(data, Dataset)
    assert (data.task or Task("text")).kind == "text"
    assert writing.sample_writer(data, place, count=3, watch=lambda _: None) is None
