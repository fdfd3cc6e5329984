"""The data set on disk, the order of training, the task, and what importing costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dizuo import data as dizuo_data
from dizuo.data import Task, chat_for, order, prompt_messages
from dizuo.data.dataset import ROWS_PER_BATCH, Split, SplitWriter
from dizuo.errors import DataError
from dizuo.records import Chat, Labelled, Message, Origin, Preference, Text, with_identity


@pytest.fixture
def examples() -> list[Chat]:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": [1, None]}}}
    return [
        with_identity(
            Chat(
                (Message("user", f"q{i}\u2028"), Message("assistant", "", tool_calls=(call,), weight=0.5)),
                tools=({"type": "function"},),
                references=("x", "y"),
                group="g",
                origin=Origin("f.jsonl", i),
            )
        )
        for i in range(2 * ROWS_PER_BATCH + 7)
    ]


def test_examples_come_back_from_disk_as_they_were(tmp_path: Path, examples: list[Chat]) -> None:
    with SplitWriter(tmp_path / "a.arrow", kind=Chat) as writer:
        writer.write(examples)
    split = Split(tmp_path / "a.arrow", name="train")
    assert len(split) == len(examples)
    assert list(split) == examples
    assert [split[i] for i in (0, ROWS_PER_BATCH, -1)] == [examples[i] for i in (0, ROWS_PER_BATCH, -1)]
    assert split[5:8] == examples[5:8]
    for start in (0, 1, ROWS_PER_BATCH - 1, ROWS_PER_BATCH, len(examples) - 1, len(examples)):
        assert list(split.read_from(start)) == examples[start:]
    with pytest.raises(IndexError):
        split[len(examples)]


def test_an_empty_split_is_a_split(bench: Any) -> None:
    data = bench.prepare(bench.write("a.jsonl", [{"text": "one two"}]), test=0)
    assert len(data.test) == 0
    assert list(data.test) == []
    assert data.test.digest.startswith("sha256:")


def test_a_folder_without_a_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no prepared data set"):
        dizuo_data.open(tmp_path)


def test_a_data_set_with_a_torn_split_is_an_error_not_a_traceback(bench: Any) -> None:
    data = bench.prepare(bench.write("a.jsonl", [{"text": f"text {i}"} for i in range(50)]))
    path = data.folder / "train.arrow"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"train\.arrow is not a split that dizuo wrote"):
        dizuo_data.open(data.folder)


def test_the_order_of_an_epoch_depends_on_seed_and_epoch_alone() -> None:
    first = order(1000, seed=3, epoch=0)
    assert sorted(first.tolist()) == list(range(1000))
    assert (first == order(1000, seed=3, epoch=0)).all()
    assert (first != order(1000, seed=3, epoch=1)).any()
    assert (first != order(1000, seed=4, epoch=0)).any()
    assert order(5, seed=7, epoch=2).tolist() == GOLDEN_ORDER
    assert np.asarray(order(0, seed=0, epoch=0)).size == 0


GOLDEN_ORDER = [1, 2, 3, 4, 0]
"""From numpy 2's PCG64 on [7, 2, 0x0D1220]; a change breaks resuming of runs that exist."""


def test_a_task_survives_the_bundle() -> None:
    task = Task("classification", "Which?", ("a", "b"), "Ticket: {text}")
    assert Task.from_json(task.to_json()) == task
    with pytest.raises(DataError, match=r"task\.json has unknown fields: shape"):
        Task.from_json({**task.to_json(), "shape": 1})


def test_training_and_serving_ask_the_same() -> None:
    task = Task("classification", "Which?", ("a", "b"), "Ticket: {text}")
    chat = chat_for(Labelled("help {text}", ("a",), id="1", origin=Origin("f", 3)), task)
    assert (
        chat.messages[:-1]
        == prompt_messages("help {text}", task)
        == (Message("user", "Which?\n\nTicket: help {text}"),)
    )
    assert chat.messages[-1] == Message("assistant", "a")
    assert (chat.id, chat.origin) == ("1", Origin("f", 3))
    assert chat_for(chat, task) is chat
    assert prompt_messages("x", Task("generation")) == (Message("user", "x"),)


def test_what_has_no_conversation_is_refused() -> None:
    for example in (Text("t"), Preference((), (), ())):
        with pytest.raises(DataError, match="which is no conversation"):
            chat_for(example, Task("text"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "clasification"}, "there is no task kind 'clasification' (did you mean 'classification'?)"),
        ({"kind": "text", "input_template": "{x}"}, "input_template is '{x}'; it must hold {text} exactly once"),
    ],
)
def test_a_wrong_task_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        Task(**fields)
    assert caught.value.message == message


def test_options_load_nothing_heavy() -> None:
    code = (
        "import sys, dizuo.data, dizuo.data.options; dizuo.data.PrepareOptions();"
        "print([m for m in ('numpy', 'pyarrow', 'torch', 'transformers', 'jinja2') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
