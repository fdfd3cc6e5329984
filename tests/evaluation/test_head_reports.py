"""Reports of models with heads: right answers, right tests, and the same as served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation_samples import LABELS, labelled
from evaluation_samples import write_data as write_into
from scipy import stats

from dizuo import models
from dizuo.data import Dataset, Task
from dizuo.data.rendering.last_token import render_conversation, render_question
from dizuo.errors import EvaluationError
from dizuo.evaluation import EvaluateOptions, evaluate
from dizuo.evaluation.answering.heads import fit_temperature
from dizuo.evaluation.kinds.regression import spearman
from dizuo.models import adapters
from dizuo.models.heads import Head, HeadFacts
from dizuo.records import Labelled, Message, Origin, Preference, with_identity
from dizuo.significance import mcnemar_exact, proportion

OPTIONS = EvaluateOptions(served_items=6, five_shot_items=4, baselines=("majority",), curve=False, embedder="none")


def write_data(folder: Path, **rows: Any) -> Dataset:
    folder.mkdir(parents=True)
    return write_into(folder, **rows)


def headed(spec: Any, folder: Path, facts: HeadFacts) -> tuple[Path, Any, torch.Tensor]:
    """Write an adapter that does nothing with a random head; return (folder, the model, the head's weight)."""
    model = models.load(spec)
    module = adapters.add_lora(model, rank=2, alpha=4, seed=1)
    weight = torch.randn(facts.num_outputs, 48, generator=torch.Generator().manual_seed(3)) * 0.5
    adapters.save(module, folder / "adapter", head=(weight, facts))
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0, "seconds": 2.0}\n')
    return folder / "adapter", models.load(spec), weight


def output(model: Any, weight: torch.Tensor, ids: Any) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        states = model.module.model(input_ids=torch.tensor([ids.tolist()])).last_hidden_state[0, -1]
    return (weight @ states).numpy()


def test_a_classification_is_what_the_head_says_of_each_question_alone(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", test=labelled(20, seed=1))
    order = tuple(reversed(LABELS))  # the head's own order, which is not the report's
    adapter, model, weight = headed(spec, tmp_path / "run", HeadFacts("classification", labels=order))
    report = evaluate(spec, data, adapter=adapter, options=OPTIONS)
    expected = []
    for example in data.test:
        ids = render_question(model.tokenizer, example.text, data.task).ids
        expected.append(order[int(output(model, weight, ids).argmax())])
    right = sum(said == example.labels[0] for said, example in zip(expected, data.test, strict=True))
    tuned, served = report.tuned, report.row("served")
    assert (tuned.score, tuned.n, served.n) == (right / 20, 20, 6)
    interval = proportion(right, 20)
    assert (tuned.low, tuned.high) == (interval.low, interval.high)
    assert served.metrics["largest difference from as scored"] < 1e-5
    matrix = np.array(report.confusion["tuned"].matrix)
    assert matrix.sum() == 20
    assert np.trace(matrix) == right
    assert report.samples == ()
    assert tuned.seconds_train == 2.0


def test_a_head_of_other_labels_is_refused(spec: Any, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data", test=labelled(4, seed=1))
    adapter, _, _ = headed(spec, tmp_path / "run", HeadFacts("classification", labels=("money", "sport", "tea")))
    with pytest.raises(EvaluationError) as raised:
        evaluate(spec, data, adapter=adapter, options=OPTIONS)
    assert raised.value.details == ("only on one side: music, tea",)


def test_several_labels_are_right_when_all_of_them_are(spec: Any, tmp_path: Path) -> None:
    rows = [
        with_identity(Labelled(f"the new band {i}", LABELS[: 1 + i % 3], origin=Origin("m.csv", i))) for i in range(12)
    ]
    task = Task("classification", "Name all sections.", LABELS, multi_label=True)
    data = write_data(tmp_path / "data", train=rows, test=rows[:9], task=task)
    adapter, model, weight = headed(spec, tmp_path / "run", HeadFacts("multi_label", labels=LABELS))
    report = evaluate(spec, data, adapter=adapter, options=EvaluateOptions(served_items=3, five_shot_items=2))
    right = hits = said_count = true_count = 0
    for example in data.test:
        scores = output(model, weight, render_question(model.tokenizer, example.text, task).ids)
        said = {label for label, score in zip(LABELS, scores, strict=True) if score > 0}
        right += said == set(example.labels)
        hits += len(said & set(example.labels))
        said_count, true_count = said_count + len(said), true_count + len(example.labels)
    assert report.tuned.score == right / 9
    assert report.tuned.metrics["micro F1"] == pytest.approx(2 * hits / (said_count + true_count))


def pairs(count: int) -> list[Preference]:
    words = ["bank", "match", "song of the year", "guitar", "more goals after they win", "a"]
    return [
        with_identity(
            Preference(
                (Message("user", f"say {number}"),),
                (Message("assistant", words[number % 6]),),
                (Message("assistant", words[(number * 5 + 1) % 6] + " x" * (number % 2)),),
                origin=Origin("p.jsonl", number),
            )
        )
        for number in range(count)
    ]


def test_a_reward_model_is_scored_by_the_pairs_it_ranks_right(spec: Any, tmp_path: Path) -> None:
    rows = pairs(18)
    data = write_data(tmp_path / "data", train=rows, test=rows, task=Task("preference"))
    adapter, model, weight = headed(spec, tmp_path / "run", HeadFacts("reward"))
    report = evaluate(spec, data, adapter=adapter, options=EvaluateOptions(served_items=4))
    margins, longer, likelier = [], [], []
    for pair in data.test:
        rewards = [
            output(model, weight, render_conversation(model.tokenizer, pair.prompt, answer).ids)[0]
            for answer in (pair.chosen, pair.rejected)
        ]
        margins.append(rewards[0] - rewards[1])
        longer.append(len(pair.chosen[0].content) - len(pair.rejected[0].content))
        sums = []
        for answer in (pair.chosen, pair.rejected):
            prompt = model.tokenizer.apply_chat_template(
                [{"role": "user", "content": pair.prompt[0].content}], add_generation_prompt=True, tokenize=False
            )
            before = model.tokenizer(prompt, add_special_tokens=False)["input_ids"]
            after = model.tokenizer(f"{answer[0].content}<|im_end|>", add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = model.module(input_ids=torch.tensor([before + after])).logits[0].log_softmax(-1)
            sums.append(sum(float(logits[len(before) - 1 + i, token]) for i, token in enumerate(after)))
        likelier.append(sums[0] - sums[1])
    tuned, untuned, cheap = report.tuned, report.untuned, report.row("longer")
    assert report.metric == "pairs ranked right"
    assert tuned.score == np.mean(np.array(margins) > 0)
    assert untuned.score == np.mean(np.array(likelier) > 0)
    assert cheap.score == np.mean([1.0 if x > 0 else 0.5 if x == 0 else 0.0 for x in longer])
    assert tuned.metrics["mean margin"] == pytest.approx(np.mean(margins), abs=1e-5)
    ours, theirs = np.array(margins) > 0, np.array(likelier) > 0
    assert tuned.p_vs_untuned == pytest.approx(mcnemar_exact(int((ours & ~theirs).sum()), int((theirs & ~ours).sum())))
    interval = proportion(int(ours.sum()), 18)
    assert (tuned.low, tuned.high) == (interval.low, interval.high)
    assert report.row("served").score == np.mean(ours[:4])


def test_a_regression_is_scored_against_the_mean_of_the_training_rows(spec: Any, tmp_path: Path) -> None:
    rows = [
        with_identity(Labelled(row.text, (f"{len(row.text) + i % 3}",), origin=row.origin))
        for i, row in enumerate(labelled(30))
    ]
    task = Task("classification", "How long?", tuple(sorted({row.labels[0] for row in rows})))
    data = write_data(tmp_path / "data", train=rows, test=rows[:10], task=task)
    adapter, model, weight = headed(spec, tmp_path / "run", HeadFacts("regression", mean=40.0, scale=5.0))
    report = evaluate(spec, data, adapter=adapter, options=EvaluateOptions(served_items=3))
    truth = np.array([float(example.labels[0]) for example in data.test])
    mean = np.mean([float(example.labels[0]) for example in data.train])
    predicted = np.array(
        [
            40 + 5 * output(model, weight, render_question(model.tokenizer, example.text, task).ids)[0]
            for example in data.test
        ]
    )
    tuned = report.tuned
    assert tuned.score == pytest.approx(1 - ((truth - predicted) ** 2).sum() / ((truth - mean) ** 2).sum(), abs=1e-4)
    assert report.untuned.score == pytest.approx(0, abs=1e-12)
    assert tuned.metrics["MAE"] == pytest.approx(np.abs(truth - predicted).mean(), abs=1e-4)
    assert tuned.metrics["RMSE"] == pytest.approx(np.sqrt(((truth - predicted) ** 2).mean()), abs=1e-4)
    assert tuned.metrics["Spearman"] == pytest.approx(stats.spearmanr(truth, predicted).statistic, abs=1e-6)
    assert tuned.metrics["MAE, low"] < tuned.metrics["MAE"] < tuned.metrics["MAE, high"]
    assert report.row("tfidf_ridge").family == "cheap"


def test_spearman_is_scipys_with_ties_and_zero_for_a_constant() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        a, b = random.integers(0, 5, 30).astype(float), random.normal(size=30).round(1)
        assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_the_temperature_that_made_the_answers_is_found_again(temperature: float) -> None:
    random = np.random.default_rng(1)
    scores = random.normal(size=(6000, 5)) * 2
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    truth = np.array([random.choice(5, p=row) for row in shares])
    found = fit_temperature((scores * temperature).astype(np.float32), truth)
    assert found == pytest.approx(temperature, rel=0.08)


def test_probabilities_are_a_softmax_or_sigmoids_and_do_not_overflow() -> None:
    one = Head(HeadFacts("classification", labels=("a", "b")), np.zeros((2, 3), np.float32))
    assert one.probabilities(np.array([[1000.0, -1000.0]], np.float32)).tolist() == [[1.0, 0.0]]
    many = Head(HeadFacts("multi_label", labels=("a", "b")), np.zeros((2, 3), np.float32))
    shares = many.probabilities(np.array([[1000.0, -1000.0], [0.0, 1.0]], np.float32))
    assert shares == pytest.approx(np.array([[1.0, 0.0], [0.5, 1 / (1 + np.exp(-1))]]))
