"""Every key of every row is read, or named as not read: a table of formats × keys, at each level of a row.

`keys.txt` beside this file is the table as it is, to be read in a review: `read`, `named`, or `refused` until
`prepare.ignore` names the key. `DIZUO_WRITE=1` writes it anew.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dizuo.data.options import PrepareOptions
from dizuo.data.reading.columns import Columns, RowError
from dizuo.data.reading.detection import load
from dizuo.data.reading.keys import KEPT, Ignored, KeyCounts, View, last_key, unread
from dizuo.data.reading.learnt import _WORDS, family_of, what_changes
from dizuo.errors import DataError
from dizuo.events import Note
from dizuo.records import content_id

TABLE = Path(__file__).with_name("keys.txt")
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
TURNS = [
    {"role": "user", "content": [{"type": "text", "text": "u"}]},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "r", "tool_call_id": "1"},
    {"role": "assistant", "content": "a"},
]
BASES: dict[str, dict[str, Any]] = {
    "alpaca": {"instruction": "i", "output": "o"},
    "classification": {"text": "t", "label": "x"},
    "feedback": {"prompt": "p", "completion": "c", "kto_tag": True},
    "feedback (messages)": {"messages": TURNS, "label": True},
    "messages": {"messages": TURNS},
    "multiple_choice": {"question": "q", "options": ["a", "b"], "answer": "a"},
    "preference": {"prompt": "p", "chosen": "c", "rejected": "r"},
    "preference (messages)": {"messages": TURNS, "rejected_response": "r"},
    "prompt_completion": {"prompt": "p", "completion": "c"},
    "prompt_completion (messages)": {
        "prompt": [{"role": "user", "content": "p"}],
        "completion": [{"role": "assistant", "content": "c"}],
    },
    "question_answer": {"question": "q", "answer": "a"},
    "sharegpt": {"conversations": [{"from": "human", "value": "u"}, {"from": "gpt", "value": "a"}]},
    "text": {"text": "t"},
}
SAYS: dict[str, Any] = {
    "weight": 0.5, "loss_weight": 0.5, "loss_scale": 0.5, "loss": 0.5, "train": 0.5, "training": 0.5, "trainable": 0.5,
    "label": False, "labels": False, "kto_tag": False, "desirable": False, "is_desirable": False,
    "messages": [{"role": "user", "content": "other"}, {"role": "assistant", "content": "another"}],
    "conversations": [{"from": "human", "value": "other"}, {"from": "gpt", "value": "another"}],
    "conversation": [{"from": "human", "value": "other"}, {"from": "gpt", "value": "another"}],
    "chosen": "better", "rejected": "worse", "history": [["q0", "a0"]], "system": "Be kind.",
    "tools": [{"type": "function", "function": {"name": "f"}}], "functions": [{"name": "f"}],
    "tool_calls": [CALL], "function_call": {"name": "f", "arguments": "{}"}, "images": ["a.png"],
    "options": ["b", "c"], "choices": ["b", "c"], "id": 7, "source": "web", "meta": {"score": 3}, "name": "anna",
    "reasoning_content": "hm", "reasoning": "hm", "thinking": "hm",
}  # fmt: skip
"""Values of keys that say something; other keys hold "x"."""
KEYS = sorted(
    {word for words, _, _ in _WORDS for word in words.split()} | set(SAYS), key=lambda key: (key.lower(), key)
)
LEVELS = {
    "turn": lambda turns: turns[-1],
    "question": lambda turns: turns[0],
    "part": lambda turns: turns[0]["content"][0],
    "call": lambda turns: turns[1]["tool_calls"][0],
    "function": lambda turns: turns[1]["tool_calls"][0]["function"],
}
TURN_LISTS = ("messages", "conversations", "prompt", "completion", "chosen")


def at_row(base: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a copy of a row, and the object in it that gets a key: the row itself."""
    row = copy.deepcopy(base)
    return row, row


def at_turn(base: dict[str, Any], column: str, level: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a copy of a row, and the object in it that gets a key: a turn or a part of one."""
    row = copy.deepcopy(base)
    return row, LEVELS[level](row[column])


def spots(name: str, base: dict[str, Any]) -> Iterator[tuple[str, Callable[[], tuple[dict[str, Any], dict[str, Any]]]]]:
    """Yield (a column of the table, what makes a row and the object in it that gets a key)."""
    yield name, partial(at_row, base)
    for column, level in itertools.product(TURN_LISTS, LEVELS):
        if not isinstance(base.get(column), list):
            continue
        try:
            _, held = at_turn(base, column, level)
        except (KeyError, IndexError, TypeError):
            continue
        if isinstance(held, dict):
            yield f"{name}, {column}, {level}", partial(at_turn, base, column, level)


def look(name: str, row: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Return what a row's format makes of it (the ids of its examples), and the paths that it left unread."""
    view = View(row)
    examples = list(load(name.partition(" ")[0]).read(view, Columns(), PrepareOptions()))
    return [content_id(example) for example in examples], unread(view)


def outcome(name: str, row: dict[str, Any], key: str, before: list[str]) -> str:
    """Return what became of a key, and check that it is the truth."""
    family = family_of(load(name.partition(" ")[0]).makes)
    try:
        after, left = look(name, row)
    except RowError as error:
        return "bad row" if key in str(error) else f"bad row: {error}"
    mine = [path for path in left if last_key(path) == key]
    if left and not mine:
        assert after != before
        return f"read instead of {', '.join(left)}"
    assert (after == before) == bool(mine), f"{name}: {key} is {'named, and' if mine else 'not named, but'} {after}"
    if not mine:
        return "read"
    if not what_changes(mine[0], family):
        return "named"
    ignored = Ignored(mine)
    assert look(name, dict(ignored.take_out(row, "a:1"))) == (before, [])
    assert list(ignored.counts.counts) == mine
    return "refused"


def table() -> str:
    lines: dict[str, dict[str, str]] = {}
    for name, base in BASES.items():
        before, left = look(name, base)
        assert not left
        for column, make in spots(name, base):
            for key in KEYS:
                row, held = make()
                if key in held:
                    continue
                held[key] = SAYS.get(key, "x")
                result = outcome(name, row, key, before)
                lines.setdefault(column, {}).setdefault(result, "")
                lines[column][result] += f" {key}"
    return "".join(
        f"{column}\n" + "".join(f"    {result}:{keys}\n" for result, keys in sorted(results.items()))
        for column, results in lines.items()
    )


def test_every_key_at_every_level_is_read_or_named_or_refused() -> None:
    found = table()
    if os.environ.get("DIZUO_WRITE"):
        TABLE.write_text(found, "utf-8")
    assert found == TABLE.read_text("utf-8")


def test_what_is_not_read_is_counted_told_and_kept_in_the_card(bench: Any) -> None:
    turns = [{"role": "user", "content": "u"}, {"role": "assistant", "content": "a", "rating": 3, "note": None}]
    rows = [{"messages": turns, "id": 0, "source": ""}, {"messages": [turns[0] | {"content": "v"}, turns[1]], "id": 1}]
    heard: list[Any] = []
    data = bench.prepare(bench.write("a.jsonl", rows), test=0, watch=heard.append)
    assert data.card.unread == {"id": 2, "messages[assistant].rating": 2}
    assert json.loads((data.folder / "dataset.json").read_text())["unread"] == data.card.unread
    assert Note("not read: id (2), messages[assistant].rating (2)") in heard


def test_a_key_that_changes_what_is_learnt_is_an_error_until_the_recipe_says_otherwise(bench: Any) -> None:
    rows = [{"prompt": "p", "completion": "c"}, {"prompt": "q", "completion": "d", "system": "Be kind."}]
    path = bench.write("a.jsonl", rows).name
    with pytest.raises(DataError) as caught:
        bench.prepare(path, test=0)
    assert str(caught.value) == (
        "a.jsonl holds keys that change what is learnt, and that dizuo cannot read there\n"
        "  system: is said before the question (1 time, first at a.jsonl:2)\n\n"
        "hint: as_chat: true writes it with the chat template where prompt and completion are strings; "
        "to train without them, say so: ignore: [system]"
    )
    ignored = bench.prepare(path, test=0, ignore=("system",))
    assert ignored.card.ignored == {"system": 1}
    assert not ignored.card.unread
    chats = bench.prepare(path, test=0, as_chat=True)
    assert {example.messages[0].content for example in chats.train} == {"p", "Be kind."}


def test_a_key_of_a_row_is_ignored_and_one_of_its_turns_is_not() -> None:
    turn = {"role": "assistant", "content": "a", "weight": 0.5}
    ignored = Ignored(["weight"])
    assert ignored.take_out({"weight": 2, "messages": [turn]}, "a:1") == {"messages": [turn]}
    assert ignored.take_out({"messages": [turn]}, "a:2") == {"messages": [{"role": "assistant", "content": "a"}]}
    tools = {"tools": [{"function": {"parameters": {"properties": {"weight": {"type": "number"}}}}}]}
    assert ignored.take_out(tools, "a:3") == tools
    assert ignored.counts.by_count() == {"messages[assistant].weight": 1, "weight": 1}
    paths = Ignored(["messages[user].weight"])
    both = {"messages": [{"role": "user", "weight": 1}, turn]}
    assert paths.take_out(both, "a:4") == {"messages": [{"role": "user"}, turn]}


def test_a_name_to_ignore_that_no_row_has_is_refused(bench: Any) -> None:
    path = bench.write("a.jsonl", [{"text": "t", "label": "x", "source": 1}, {"text": "u", "label": "y"}])
    with pytest.raises(DataError, match=r"ignore names keys that no row has: 'sorce' \(did you mean 'source'\?\)"):
        bench.prepare(path, test=0, ignore=("sorce",))


def test_keys_that_are_data_are_counted_in_bounded_memory() -> None:
    counts = KeyCounts()
    for number in range(3 * KEPT):
        counts.add([f"id{number}", "x"], "a:1")
    assert len(counts.counts) == KEPT
    assert counts.by_count()["x"] == 3 * KEPT
    assert sum(counts.by_count().values()) == 6 * KEPT


def test_a_view_knows_what_was_read_however_it_was_asked() -> None:
    row = {"a": 1, "b": {"c": [{"d": 1, "e": 2}], "f": 3}, "g": 4, "h": 5, "i": None, "k": {"l": 1}, "m": [[{"n": 1}]]}
    before = copy.deepcopy(row)
    view = View(row)
    assert "g" in view
    assert list(view) == list(row)
    assert unread(view) == ["a", "b", "g", "h", "k", "m"]
    assert view["b"]["c"][0]["d"] == 1
    match view:
        case {"a": int(_)}:
            pass
    assert view.get("zzz") is None
    assert {**view["k"]} == {"l": 1}
    assert view["m"][0][0].pop("n") == 1
    assert unread(view) == ["b.c[].e", "b.f", "g", "h"]
    assert json.loads(json.dumps(view)) == before | {"m": [[{}]]}
    assert unread(view) == []
    assert row == before
    assert (View(a=1) | {"b": 2}, {"b": 2} | View(a=1)) == ({"a": 1, "b": 2}, {"b": 2, "a": 1})


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "b", "label": "y", "text": "c"}\n', "line 2: "),
        ("a.json", '[\n{"text": "a", "label": "x"},\n{"text": "b", "label": "y", "text": "c"}\n]', "line 3: "),
        ("b.jsonl", '{\n"text": "a", "label": "x"\n}\n{"text": "b", "label": "y", "text": "c"\n}\n', "line 4: "),
    ],
)
def test_a_key_that_stands_twice_is_a_bad_row_and_none_of_its_values_is_lost(
    bench: Any, name: str, content: str, place: str
) -> None:
    with pytest.raises(DataError) as caught:
        bench.prepare(bench.write(name, content), test=0)
    assert caught.value.details == (f"{place}has the key 'text' twice",)


def test_columns_and_files_are_not_lost_either(bench: Any) -> None:
    import pyarrow as pa
    import pyarrow.feather as feather
    import pyarrow.parquet as pq

    twice = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array(["x"])], names=["text", "text", "label"])
    pq.write_table(twice, "a.parquet")
    feather.write_feather(twice, "a.arrow", compression="uncompressed")
    for file in ("a.parquet", "a.arrow"):
        with pytest.raises(DataError, match=f"{file} has several columns called 'text'"):
            bench.prepare(file)
    rows = "text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20))
    for path in ("set/train.csv", "set/more.csv", "bag/a.csv", "bag/old/b.csv", "cut/train/a.csv", "cut/extra/b.csv"):
        bench.write(path, rows)
    assert bench.prepare("set").card.notes == ("set/train.csv: beside it more.csv is not read",)
    assert bench.prepare("bag").card.notes == ("bag/a.csv: beside it old is not read",)
    assert bench.prepare("cut").card.notes == ("cut/train/a.csv: beside it extra is not read",)
