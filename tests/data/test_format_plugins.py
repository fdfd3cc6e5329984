"""Every record format of ours, held to the suite that a third party's is held to."""

from __future__ import annotations

import pytest

from dizuo.data.formats import FORMATS, Format
from dizuo.data.reading.columns import Columns
from dizuo.errors import PluginError
from dizuo.records import Text
from dizuo.testing import FormatSuite


class TestAlpaca(FormatSuite):
    name = "alpaca"
    rows = (
        {"instruction": "Add.", "input": "1 2", "output": "3", "history": [["hello", "hi"]]},
        {"instruction": "Say hi.", "input": "", "output": "hi", "system": "Be kind."},
        {
            "instruction": "Name one.",
            "instances": [{"input": "fruit", "output": "fig"}, {"input": "", "output": "oak"}],
        },
    )


class TestClassification(FormatSuite):
    name = "classification"
    rows = ({"text": "good", "label": "yes"}, {"text": "bad", "label": "no"}, {"text": "mixed", "label": ["no", "yes"]})


class TestFeedback(FormatSuite):
    name = "feedback"
    rows = (
        {"prompt": "a", "completion": "b", "label": True},
        {"prompt": [{"role": "user", "content": "c"}], "completion": "d", "label": False},
        {"instruction": "e", "input": "f", "output": "g", "kto_tag": "yes"},
        {"conversations": [{"from": "human", "value": "h"}, {"from": "gpt", "value": "i"}], "label": 0},
    )


class TestMessages(FormatSuite):
    name = "messages"
    rows = (
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {
            "messages": [
                {"role": "user", "content": "sum"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "1", "function": {"name": "add", "arguments": '{"a": 1}'}}],
                },
                {"role": "tool", "content": "1", "tool_call_id": "1"},
                {"role": "assistant", "content": "1", "weight": 0.5},
            ],
            "tools": [{"type": "function", "function": {"name": "add"}}],
        },
    )


class TestMultipleChoice(FormatSuite):
    name = "multiple_choice"
    rows = (
        {"question": "Which is a colour?", "choices": {"text": ["red", "dog"], "label": ["A", "B"]}, "answerKey": "A"},
        {"question": "Which runs?", "A": "tree", "B": "dog", "answer": "B", "context": "In the park."},
        {"question": "Which is late?", "options": ["noon", "night"], "answer": 1},
        {"question": "Which is green?", "options": {"a": "grass", "b": "sky"}, "answer": "grass"},
    )


class TestPreference(FormatSuite):
    name = "preference"
    rows = (
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        {"chosen": "\n\nHuman: a\n\nAssistant: d", "rejected": "\n\nHuman: a\n\nAssistant: e"},
        {"prompt": "f", "chosen": [{"role": "assistant", "content": "g"}], "rejected": "h"},
        {
            "messages": [{"role": "user", "content": "i"}, {"role": "assistant", "content": "j"}],
            "rejected_response": "k",
        },
        {"instruction": "l", "input": "m", "chosen": "n", "rejected": "o", "system": "p"},
        {
            "input": {"messages": [{"role": "user", "content": "q"}], "parallel_tool_calls": True},
            "preferred_output": [{"role": "assistant", "content": "r"}],
            "non_preferred_output": [{"role": "assistant", "content": "s"}],
        },
    )


class TestPromptCompletion(FormatSuite):
    name = "prompt_completion"
    rows = ({"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"})

    def test_message_lists_become_conversations(self, format: Format) -> None:
        row = {"prompt": [{"role": "user", "content": "a"}], "completion": "b"}
        assert format.fits(row, Columns()) == {"prompt", "completion"}


class TestQuestionAnswer(FormatSuite):
    name = "question_answer"
    unread = frozenset({"answer.answer_start"})
    rows = (
        {"question": "a", "answer": "b", "context": "c"},
        {"question": "d", "answer": ["e", "f"]},
        {"question": "g", "answer": {"text": ["h"], "answer_start": [0]}},
        {"paragraphs": [{"context": "i", "qas": [{"id": "1", "question": "j", "answers": [{"text": "k"}]}]}]},
    )


class TestShareGPT(FormatSuite):
    name = "sharegpt"
    rows = (
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        {"conversations": [{"from": "human", "value": "c"}, {"from": "gpt", "value": "d"}], "system": "e"},
    )


class TestText(FormatSuite):
    name = "text"
    rows = ({"text": "a"}, {"text": "b"})


def test_every_format_is_held_to_the_suite() -> None:
    held = {suite.name for suite in FormatSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(FORMATS.names())


def test_a_format_that_needs_an_unknown_role_is_refused() -> None:
    text = FORMATS.load("text")
    with pytest.raises(PluginError, match=r"unknown roles: 'txt' \(did you mean 'text'\?\)"):
        Format(makes=(Text,), needs=("txt",), fits=text.fits, read=text.read)
    with pytest.raises(PluginError, match="makes is"):
        Format(makes=(), needs=("text",), fits=text.fits, read=text.read)
