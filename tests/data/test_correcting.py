"""A corrected line is one that the format reads and says what the refused one means; the unclear is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dizuo.data.formats import FORMATS
from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.correcting import as_line, correct, correct_text
from dizuo.errors import DataError

SAID: dict[str, Any] = {"messages": [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}


def turns(*pairs: tuple[str, Any], role: str = "role", said: str = "content") -> dict[str, Any]:
    return {"messages": [{role: who, said: text} for who, text in pairs]}


CLEAR: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("classification", {"text": "t", "lable": "x"}, {"text": "t", "label": "x"}),
    ("classification", {"text": 7, "label": "x"}, {"text": "7", "label": "x"}),
    ("prompt_completion", {"promt": "p", "completion": "c"}, {"prompt": "p", "completion": "c"}),
    ("prompt_completion", {"promt": "p", "completion": 3}, {"prompt": "p", "completion": "3"}),
    ("question_answer", {"question": "q", "answer": False}, {"question": "q", "answer": "false"}),
    ("messages", {"mesages": SAID["messages"]}, SAID),
    ("messages", turns(("user", "u"), ("asistant", "a")), SAID),
    ("messages", turns(("User", "u"), ("AI", "a")), SAID),
    ("messages", {"messages": [{"rol": "user", "contnet": "u"}, {"role": "assistant", "content": "a"}]}, SAID),
    ("messages", turns(("assistant", "Welcome!"), ("user", "u"), ("assistant", "a")), SAID),
    ("messages", {"messages": json.dumps(SAID["messages"])}, SAID),
    ("messages", {"messages": str(SAID["messages"])}, SAID),
    (
        "messages",
        {"messages": [SAID["messages"][0], {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "f", "arguments": "{'x': 1}"}}]}]},
        {"messages": [SAID["messages"][0], {"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "f", "arguments": {"x": 1}}}]}]},
    ),
    ("preference", {"prompt": 1, "chosen": "c", "rejected": "r"}, {"prompt": "1", "chosen": "c", "rejected": "r"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "meant"), CLEAR)
def test_a_clear_mistake_is_corrected(name: str, row: dict[str, Any], meant: dict[str, Any]) -> None:
    before = json.dumps(row)
    assert correct(row, FORMATS.load(name), Columns(), PrepareOptions()) == meant
    assert json.dumps(row) == before


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("classification", {"text": "t", "label": ""}),
        ("classification", {"text": None, "label": "x"}),
        ("classification", {"txt": "t"}),
        ("text", {"question": "q", "opa": "x", "cop": 1}),
        ("messages", turns(("user", "u"))),
        ("messages", turns(("user", "u"), ("assistant", ""))),
        ("messages", turns(("user", "u"), ("narrator", "a"))),
        ("preference", {"prompt": "p", "chosen": "c", "rejected": "c"}),
    ],
)
def test_what_is_not_clear_is_left_alone(name: str, row: dict[str, Any]) -> None:
    assert correct(row, FORMATS.load(name), Columns(), PrepareOptions()) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"text": "t", "label": "x",}', '{"text": "t", "label": "x"', "{'text': 't', 'label': 'x'}",
        '{"text": "t", "label": "x"},', '{"text": "t", "label": "x", "note": NaN}', '{"text": "t", "label": "x',
    ],
)  # fmt: skip
def test_a_line_that_is_nearly_json_is_corrected(text: str) -> None:
    row = correct_text(text, FORMATS.load("classification"), Columns(), PrepareOptions())
    assert row is not None
    assert (row["text"], row["label"]) == ("t", "x")


@pytest.mark.parametrize("text", ['{"text": "t", "lab', "t,x", "[1, 2]", "", '{"text": "t", "label": NaN}'])
def test_a_line_that_could_mean_anything_is_not(text: str) -> None:
    assert correct_text(text, FORMATS.load("classification"), Columns(), PrepareOptions()) is None


def test_corrected_lines_can_be_pasted_over_the_refused_ones(bench: Any) -> None:
    lines = ['{"text": "one", "label": "a"}', '{"text": "two", "lable": "b"}', '{"text": "three", "label": "a",}',
             '{"text": 4, "label": "b"}', '{"text": "five", "label": "b"}']  # fmt: skip
    path = bench.write("a.jsonl", "\n".join(lines))
    with pytest.raises(DataError) as caught:
        bench.prepare(path.name, format="classification")
    corrected = [line.partition("corrected: ")[2] for line in caught.value.details if "corrected: " in line]
    assert len(corrected) == 3
    lines[1:4] = corrected
    assert len(bench.prepare(bench.write("b.jsonl", "\n".join(lines)), test=0).train) == 5
    bench.prepare(path.name, format="classification", test=0, quarantine="bad.jsonl")
    assert [json.loads(line)["corrected"] for line in Path("bad.jsonl").read_text().splitlines()] == corrected


def test_the_first_row_of_a_file_that_fits_no_format_is_shown_corrected(bench: Any) -> None:
    path = bench.write("a.jsonl", [{"prompt": "1+1", "completion": 2}] * 3).name
    with pytest.raises(DataError) as caught:
        bench.prepare(path)
    assert caught.value.details[-1] == 'its first row, corrected: {"prompt": "1+1", "completion": "2"}'


def test_lines_of_tables_are_written_as_tables_have_them() -> None:
    assert as_line({"text": "a; b", "label": "x"}, "semicolon") == '"a; b";x'
    assert as_line({"text": "a", "label": "x"}, "tab") == "a\tx"
    assert as_line({"text": ["a"]}, "comma") == '{"text": ["a"]}'
    assert as_line({"text": "a" * 5000}) == ""
