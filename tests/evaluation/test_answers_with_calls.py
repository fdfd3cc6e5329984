"""Answers that are calls: how they are written into a report, and when two of them are the same."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from dizuo.evaluation.calls import calls_in, same_answer, text_of, written_answer
from dizuo.evaluation.figures import FIGURES, AnsweredSet
from dizuo.evaluation.kinds import KINDS
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.setting import ChatPrompt, items_of
from dizuo.records import Chat, Message


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"id": f"id of {name}", "type": "function", "function": {"name": name, "arguments": arguments}}


LAMP = written_answer("", [call("lamp", on=True, n=1)])


@pytest.mark.parametrize(
    ("answer", "same"),
    [
        (LAMP, True),
        (written_answer("", [call("lamp", n=1, on=True)]), True),
        (written_answer("", [call("lamp", n=1.0, on=True)]), True),
        (written_answer("Let me see.", [call("lamp", n=1, on=True)]), True),
        ('[{"arguments": {"n": 1,\n "on": true}, "name": "lamp"}]', True),
        ('{"name": "lamp", "parameters": {"on": true, "n": 1}}', True),
        (written_answer("", [call("lamp", n=1, on=1)]), False),
        (written_answer("", [call("lamp", n="1", on=True)]), False),
        (written_answer("", [call("Lamp", n=1, on=True)]), False),
        (written_answer("", [call("lamp", n=1)]), False),
        (written_answer("", [call("lamp", n=1, on=True, town="Bonn")]), False),
        (written_answer("", [call("lamp", n=1, on=True)] * 2), False),
        ("lamp on", False),
        ("", False),
        ("[]", False),
        ("[1]", False),
        ("[" * 100_000, False),
    ],
)
def test_calls_are_the_same_where_names_and_arguments_are(answer: str, same: bool) -> None:
    assert same_answer(answer, LAMP) is same
    for name in ("exact_match", "accuracy"):
        assert METRICS.load(name).items([answer], [["no", LAMP]]).tolist() == [float(same)]


def test_an_answer_is_written_with_what_it_says_and_its_calls_are_found_in_it() -> None:
    calls = [call("lamp", town="Köln\nam Rhein", on={"b": [1, None], "a": "[{"}), call("book")]
    for content in ("", "Let me see.", "{", "[{\n[{"):
        text = text_of(Message("assistant", content, tool_calls=tuple(calls)))
        expected = [(entry["function"]["name"], entry["function"]["arguments"]) for entry in calls]
        assert calls_in(text) == expected
        assert text.startswith(content)
    assert text_of(Message("assistant", "<think>\nhm\n</think>\n\nyes")) == "yes"
    assert calls_in("yes") is None
    assert same_answer("yes", "yes") is None


def test_calls_made_at_once_have_no_order() -> None:
    one, other = call("lamp", n=1), call("lamp", n=2)
    assert same_answer(written_answer("", [one, other]), written_answer("", [other, one]))
    assert not same_answer(written_answer("", [one, one]), written_answer("", [other, one]))


def test_a_question_has_its_tools_and_an_answer_its_calls() -> None:
    tool = {"type": "function", "function": {"name": "lamp"}}
    asked = (Message("user", "hello"),)
    rows = [Chat((*asked, Message("assistant", "", tool_calls=(call("lamp", n=n),))), tools=(tool,)) for n in range(3)]
    items = items_of(rows, None)
    assert [item.question for item in items] == [ChatPrompt(asked, (tool,))] * 3
    assert [calls_in(item.answer) for item in items] == [[("lamp", {"n": n})] for n in range(3)]
    assert [item.turn.tool_calls for item in items if item.turn] == [(call("lamp", n=n),) for n in range(3)]
    choose = KINDS.load("generation").default_metric
    assert choose is not None
    assert choose(items) == ("exact_match", "answers are calls")
    assert ChatPrompt(asked) != ChatPrompt(asked, (tool,))


@pytest.mark.parametrize("answer", ["", "hello", " ", LAMP])
@pytest.mark.parametrize("name", METRICS.names())
def test_an_empty_expected_answer_divides_by_nothing(name: str, answer: str) -> None:
    """A call without a content was one, and an answer of nothing but thoughts is."""
    if name == "pairs":
        return
    values = METRICS.load(name).items([answer], [[""]])
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert METRICS.load(name).items([answer], [[LAMP]]).shape == (1,)


@pytest.mark.parametrize("name", FIGURES.names())
def test_a_set_of_empty_answers_has_figures_that_are_numbers(name: str) -> None:
    answered = AnsweredSet(
        answers=[""] * 2,
        expected=[""] * 2,
        values=np.zeros(2),
        labels=("",),
        probabilities=np.ones((2, 1)),
        logprobs=[np.full(1, -1.0, np.float32)] * 2,
        texts=[""] * 2,
    )
    assert np.isfinite(FIGURES.load(name).value(answered))
    assert json.dumps(FIGURES.load(name).value(answered))
