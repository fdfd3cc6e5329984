"""Every record format: found from keys and value types, read into the right record."""

from __future__ import annotations

from typing import Any

import pytest

from dizuo.errors import DataError
from dizuo.records import Chat, Feedback, Labelled, Message, Preference, Text, content_id, with_identity

U, A = "user", "assistant"
CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
TOOL = {"type": "function", "function": {"name": "f"}}


def chat(*turns: Message, **fields: Any) -> Chat:
    return Chat(turns, **fields)


CASES: list[tuple[str, dict[str, Any], Any]] = [
    (
        "messages",
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
                      {"role": "assistant", "content": "a", "weight": 0.5}]},
        chat(Message("system", "s"), Message(U, "u"), Message(A, "a", weight=0.5)),
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "u"}]},
                      {"role": "assistant", "content": None,
                       "tool_calls": [{"id": "1", "type": "function",
                                       "function": {"name": "f", "arguments": "{\"x\": 1}"}}]},
                      {"role": "tool", "content": "r", "tool_call_id": "1"}, {"role": "assistant", "content": "a"}],
         "tools": [TOOL]},
        chat(Message(U, "u"), Message(A, "", tool_calls=({**CALL, "id": "1"},)),
             Message("tool", "r", tool_call_id="1"), Message(A, "a"), tools=(TOOL,)),
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}], "system": "s"},
        chat(Message("system", "s"), Message(U, "u"), Message(A, "a")),
    ),
    (
        "sharegpt",
        {"conversations": [{"from": "human", "value": "u"},
                           {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
                           {"from": "observation", "value": "r"}, {"from": "gpt", "value": "a"}],
         "tools": "[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]"},
        chat(Message(U, "u"), Message(A, "", tool_calls=(CALL,)), Message("tool", "r"), Message(A, "a"), tools=(TOOL,)),
    ),
    ("alpaca", {"instruction": "i", "input": "", "output": "o"}, chat(Message(U, "i"), Message(A, "o"))),
    (
        "alpaca",
        {"instruction": "i", "input": "x", "output": "o", "system": "s", "history": [["q", "r"]]},
        chat(Message("system", "s"), Message(U, "q"), Message(A, "r"), Message(U, "i\n\nx"), Message(A, "o")),
    ),
    ("prompt_completion", {"prompt": "p ", "completion": "c"}, Text("c", prompt="p ")),
    (
        "prompt_completion",
        {"prompt": [{"role": "user", "content": "p"}], "completion": [{"role": "assistant", "content": "c"}]},
        chat(Message(U, "p"), Message(A, "c")),
    ),
    (
        "question_answer",
        {"question": "q", "answer": ["x", "y", "x"], "context": "c"},
        chat(Message(U, "c\n\nq"), Message(A, "x"), references=("y",)),
    ),
    (
        "question_answer",
        {"id": 1, "question": "q", "answers": {"text": ["x"], "answer_start": [3]}},
        chat(Message(U, "q"), Message(A, "x")),
    ),
    (
        "question_answer",
        {"title": "t", "paragraphs": [{"context": "c", "qas": [{"question": "q", "answers": [{"text": "x"}]}]}]},
        chat(Message(U, "c\n\nq"), Message(A, "x")),
    ),
    ("text", {"text": "t", "id": 3}, Text("t")),
    ("classification", {"sentence": " t ", "intent": "x"}, Labelled("t", ("x",))),
    ("classification", {"Text": "t", "Label": 3}, Labelled("t", ("3",))),
    ("classification", {"text": "t", "labels": ["y", "x"]}, Labelled("t", ("x", "y"))),
    (
        "preference",
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"chosen": "\n\nHuman: p\n\nAssistant: x\n\nHuman: q\n\nAssistant: c",
         "rejected": "\n\nHuman: p\n\nAssistant: x\n\nHuman: q\n\nAssistant: r"},
        Preference((Message(U, "p"), Message(A, "x"), Message(U, "q")), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"chosen": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}],
         "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}]},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"conversations": [{"from": "human", "value": "p"}], "chosen": {"from": "gpt", "value": "c"},
         "rejected": {"from": "gpt", "value": "r"}},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    ("feedback", {"prompt": "p", "completion": "c", "label": False},
     Feedback((Message(U, "p"),), (Message(A, "c"),), False)),
    ("feedback", {"prompt": "p", "completion": "c", "kto_tag": 1},
     Feedback((Message(U, "p"),), (Message(A, "c"),), True)),
    ("feedback",
     {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}], "label": False},
     Feedback((Message(U, "p"),), (Message(A, "c"),), False)),
    ("feedback", {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}], "kto_tag": "True",
                  "system": "s"},
     Feedback((Message("system", "s"), Message(U, "p")), (Message(A, "c"),), True)),
    ("feedback", {"instruction": "i", "input": "x", "output": "c", "kto_tag": 0},
     Feedback((Message(U, "i\n\nx"),), (Message(A, "c"),), False)),
    ("feedback", {"prompt": "p", "response": "c", "label": "no"},
     Feedback((Message(U, "p"),), (Message(A, "c"),), False)),
    ("feedback", {"question": "p", "answer": "c", "label": True, "context": "x"},
     Feedback((Message(U, "x\n\np"),), (Message(A, "c"),), True)),
    (
        "preference",
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "p"},
                      {"role": "assistant", "content": "c"}], "rejected_response": "r"},
        Preference((Message("system", "s"), Message(U, "p")), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"conversations": [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}], "rejected_response": "r"},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}],
         "rejected_messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}]},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"instruction": "i", "input": "x", "chosen": "c", "rejected": "r", "system": "s", "history": [["q", "a"]]},
        Preference((Message("system", "s"), Message(U, "q"), Message(A, "a"), Message(U, "i\n\nx")),
                   (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"question": "p", "system": "s", "chosen": "c", "rejected": "r"},
        Preference((Message("system", "s"), Message(U, "p")), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "preference",
        {"input": {"messages": [{"role": "user", "content": "p"}], "tools": [TOOL], "parallel_tool_calls": True},
         "preferred_output": [{"role": "assistant", "content": "c"}],
         "non_preferred_output": [{"role": "assistant", "content": "r"}]},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),), tools=(TOOL,)),
    ),
    (
        "preference",
        {"prompt": "p", "chosen": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}],
         "rejected": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "r"}],
         "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}],
         "score_chosen": 8.0, "score_rejected": 2.0},
        Preference((Message(U, "p"),), (Message(A, "c"),), (Message(A, "r"),)),
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": [{"type": "text", "value": "u"}]},
                      {"role": "assistant", "content": [{"type": "thinking", "thinking": "h"}, {"text": "a"}]}]},
        chat(Message(U, "u"), Message(A, "a", reasoning_content="h")),
    ),
    (
        "messages",
        {"messages": [{"role": "user", "content": "u"},
                      {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{\"x\": 1}"}},
                      {"role": "function", "name": "f", "content": "r"},
                      {"role": "assistant", "content": "a", "reasoning_content": "h"}],
         "functions": [{"name": "f"}]},
        chat(Message(U, "u"), Message(A, "", tool_calls=(CALL,)), Message("tool", "r", name="f"),
             Message(A, "a", reasoning_content="h"), tools=(TOOL,)),
    ),
    ("messages", {"messages": [{"from": "user", "value": "u"}, {"from": "assistant", "value": "a"}]},
     chat(Message(U, "u"), Message(A, "a"))),
    ("sharegpt", {"conversations": [{"role": "user", "value": "u"}, {"role": "assistant", "value": "a"}]},
     chat(Message(U, "u"), Message(A, "a"))),
    ("alpaca", {"instruction": "i", "context": "x", "response": "o", "category": "open_qa"},
     chat(Message(U, "i\n\nx"), Message(A, "o"))),
    ("alpaca", {"instruction": "", "input": "x", "output": "o"}, chat(Message(U, "x"), Message(A, "o"))),
    ("question_answer", {"query": "q", "response": "a", "system": "s", "history": [["b", "c"]]},
     chat(Message("system", "s"), Message(U, "b"), Message(A, "c"), Message(U, "q"), Message(A, "a"))),
    ("multiple_choice", {"question": "q", "A": "x", "B": "y", "answer": "B"},
     chat(Message(U, "q\n\nA. x\nB. y"), Message(A, "B"))),
    ("multiple_choice", {"question": "q", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"},
     chat(Message(U, "q\n\n1. x\n2. y"), Message(A, "2"))),
    ("multiple_choice", {"question": "q", "choices": ["x", "y"], "answer": 1},
     chat(Message(U, "q\n\nA. x\nB. y"), Message(A, "B"))),
    ("classification", {"premise": "p", "hypothesis": "h", "label": 1}, Labelled("p\n\nh", ("1",))),
    ("classification", {"text": "p", "text_pair": "h", "label": 1}, Labelled("p\n\nh", ("1",))),
]  # fmt: skip


@pytest.mark.parametrize(("format_name", "row", "record"), CASES)
def test_a_row_is_recognised_and_read(bench: Any, format_name: str, row: dict[str, Any], record: Any) -> None:
    if isinstance(record, Labelled):  # a classification needs two labels
        rows = [row, {key: "another" if isinstance(value, str) else value for key, value in row.items()}]
        rows[1][next(key for key in row if key.lower() in ("label", "labels", "intent"))] = "z"
        if isinstance(row.get("labels"), list):
            rows[1]["labels"] = ["z"]
    else:
        rows = [row]
    data = bench.prepare(bench.write("a.jsonl", rows), test=0)
    assert data.card.format == format_name
    found = next(example for example in data.train if example.origin.line == 1)
    assert content_id(found) == content_id(record)
    assert found.id == with_identity(record).id


def test_alpaca_instances_unfold(bench: Any) -> None:
    row = {"instruction": "i", "instances": [{"input": "a", "output": "b"}, {"input": "", "output": "c"}]}
    data = bench.prepare(bench.write("a.jsonl", [row]), test=0)
    assert sorted(example.messages[-1].content for example in data.train) == ["b", "c"]


def test_prompts_become_chats_when_asked(bench: Any) -> None:
    path = bench.write("a.csv", "mr,ref\nname[X],X it is\nname[Y],Y it is\n")
    columns = {"prompt": "mr", "completion": "ref"}
    plain = bench.prepare(path, columns=columns, test=0)
    asked = bench.prepare(path, columns=columns, test=0, instruction="Write.")
    assert plain.task.kind == "text"
    assert asked.task.kind == "generation"
    assert {example.messages[0].content for example in asked.train} == {"Write.\n\nname[X]", "Write.\n\nname[Y]"}


def test_label_names_come_from_the_options(bench: Any) -> None:
    path = bench.write("a.csv", "text,label\ngood,1\nbad,0\n")
    data = bench.prepare(path, test=0, labels={"0": "negative", "1": "positive"})
    assert data.task.labels == ("negative", "positive")


def test_a_bigger_format_takes_the_place_of_one_inside_it(bench: Any) -> None:
    rows = [{"prompt": "p", "completion": "c", "label": bool(i)} for i in range(2)]
    assert bench.prepare(bench.write("a.jsonl", rows), test=0).card.format == "feedback"
    rows = [{"prompt": "p", "completion": "c", "label": "spam"}]
    data = bench.prepare(bench.write("b.jsonl", rows), test=0, ignore=("label",))
    assert data.card.format == "prompt_completion"


def test_several_fitting_formats_are_refused_until_one_is_named(bench: Any) -> None:
    path = bench.write("a.jsonl", [{"instruction": "i", "output": "o", "text": "t"}] * 3)
    with pytest.raises(DataError) as caught:
        bench.prepare(path)
    assert caught.value.details == ("alpaca: from instruction, output (3 rows)", "text: from text (3 rows)")
    assert bench.prepare(path, format="alpaca", test=0).task.kind == "generation"
