"""A row is named by a place that its user can find: a line, or the path inside a JSON document."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dizuo.errors import DataError


def article(title: str, count: int) -> dict[str, Any]:
    questions = [
        {"id": f"{title}{i}", "question": f"{title} {i}?", "answers": [{"text": f"{i}"}]} for i in range(count)
    ]
    return {"title": title, "paragraphs": [{"context": f"about {title}", "qas": questions[:2]},
                                           {"context": f"more of {title}", "qas": questions[2:]}]}  # fmt: skip


def write(bench: Any, name: str, content: Any) -> str:
    return str(bench.write(name, content).name)


def find(value: Any, path: str) -> Any:
    """Follow a path as a person reads it."""
    for name, index in re.findall(r"([^.\[\]]*)(?:\[(\d+)\])?", path):
        value = value[name] if name else value
        value = value[int(index)] if index else value
    return value


def questions(data: Any) -> dict[str, Any]:
    return {example.messages[0].content.rpartition("\n\n")[2]: example.origin for example in data.train}


def test_a_question_of_a_json_document_has_its_path(bench: Any) -> None:
    document = {"version": 1, "data": [article("cats", 4), article("dogs", 5)]}
    origins = questions(bench.prepare(write(bench, "a.json", json.dumps(document)), test=0))
    assert str(origins["dogs 3?"]) == "a.json: data[1].paragraphs[1].qas[1]"
    assert len(origins) == 9
    for text, origin in origins.items():
        assert origin.line is None
        assert find(document, origin.path)["question"] == text


def test_a_question_of_a_json_line_has_the_line_and_the_path_in_it(bench: Any) -> None:
    rows = [article("cats", 4), article("dogs", 5)]
    origins = questions(bench.prepare(write(bench, "a.jsonl", rows), test=0))
    assert str(origins["dogs 3?"]) == "a.jsonl:2: paragraphs[1].qas[1]"
    for text, origin in origins.items():
        assert find(rows[origin.line - 1], origin.path)["question"] == text


def test_rows_of_an_array_have_lines_where_lines_tell_them_apart(bench: Any) -> None:
    rows = [{"text": f"t{i}", "label": "ab"[i % 2]} for i in range(4)]
    lined = bench.prepare(write(bench, "a.json", "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"), test=0)
    assert {str(example.origin) for example in lined.train} == {f"a.json:{line}" for line in (2, 3, 4, 5)}
    one_line = bench.prepare(write(bench, "b.json", json.dumps(rows)), test=0)
    assert {str(example.origin) for example in one_line.train} == {"b.json:1", *(f"b.json:1: [{i}]" for i in (1, 2, 3))}
    columns = {"text": [row["text"] for row in rows], "label": [row["label"] for row in rows]}
    by_column = bench.prepare(write(bench, "c.json", json.dumps(columns)), test=0)
    assert {str(example.origin) for example in by_column.train} == {f"c.json: text[{i}]" for i in range(4)}


def test_one_bad_question_is_one_bad_row_with_its_place(bench: Any) -> None:
    document = {"data": [article("cats", 4), article("dogs", 5)]}
    del document["data"][1]["paragraphs"][0]["qas"][1]["answers"]
    document["data"][0]["paragraphs"][1]["qas"][0]["question"] = None
    document["data"][0]["paragraphs"].append("lost")
    path = write(bench, "a.json", json.dumps(document))
    with pytest.raises(DataError) as caught:
        bench.prepare(path)
    assert caught.value.message == "a.json has 3 bad rows of 10"
    assert caught.value.details == (
        "data[0].paragraphs[1].qas[0]: question cats2 has no text",
        "data[0].paragraphs[2]: a paragraph has no list 'qas'",
        "data[1].paragraphs[0].qas[1]: question dogs1: has no answer",
    )
    data = bench.prepare(path, test=0, quarantine="bad.jsonl")
    assert len(data.train) == 7
    bad = [json.loads(line) for line in Path("bad.jsonl").read_text().splitlines()]
    assert [line["path"] for line in bad] == [text.split(": ")[0] for text in caught.value.details]
    assert json.loads(bad[2]["row"])["id"] == "dogs1"
    assert data.card.ledger.examples[0].path == "data[0].paragraphs[1].qas[0]"
    both = write(
        bench, "b.jsonl", [{**article("cats", 4), "paragraphs": [{"qas": [{"question": 3}]}]}, article("x", 3)]
    )
    with pytest.raises(DataError) as caught:
        bench.prepare(both)
    assert caught.value.details == ("line 1: paragraphs[0].qas[0]: question ? has no text",)


def test_duplicates_name_both_places(bench: Any) -> None:
    document = {"data": [article("cats", 4), article("cats", 2)]}
    data = bench.prepare(write(bench, "a.json", json.dumps(document)), test=0)
    removed = [json.loads(line) for line in (data.folder / "removed.jsonl").read_text().splitlines()]
    assert [line["path"] for line in removed] == [f"data[1].paragraphs[0].qas[{i}]" for i in range(2)]
    assert removed[0]["reason"] == "reads the same as a.json: data[0].paragraphs[0].qas[0]"
    assert removed[0]["line"] is None


def test_every_question_of_xquad_is_found_at_its_path(bench: Any, shared: Path) -> None:
    path = shared / "xquad" / "xquad.en.json"
    document = json.loads(path.read_text())
    data = bench.prepare(path, test=100)
    for split in (data.train, data.test):
        for example in split:
            entry = find(document, example.origin.path)
            assert example.messages[0].content.endswith(entry["question"])
