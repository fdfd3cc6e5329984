"""What a row switches off is not trained: every way of saying so, held to the loss mask on a real template."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dizuo.data.rendering.conversations import render
from dizuo.errors import DataError

WAYS: list[tuple[dict[str, Any], dict[str, Any], float]] = [
    ({"weight": 0}, {"weight": 1}, 1.0),
    ({"weight": 0}, {}, 1.0),
    ({"weight": 0.0}, {"weight": None}, 1.0),
    ({"weight": 0.25}, {"weight": 2}, 2.0),
    ({"weight": False}, {"weight": True}, 1.0),
    ({"train": False}, {"train": True}, 1.0),
    ({"training": False}, {}, 1.0),
    ({"trainable": 0}, {}, 1.0),
    ({"loss": False}, {"loss": True}, 1.0),
    ({"loss": "false"}, {"loss": "True"}, 1.0),
    ({"loss_scale": 0}, {"loss_scale": 0.5}, 0.5),
    ({"loss_weight": 0}, {"loss_weight": 1.0}, 1.0),
    ({"weight": 0, "train": False}, {"weight": 1, "train": True}, 1.0),
]
SHAPES = {
    "messages": ("messages", "role", "content", ("user", "assistant")),
    "sharegpt": ("conversations", "from", "value", ("human", "gpt")),
}


def row_of(shape: str, first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    column, who, said, (asks, answers) = SHAPES[shape]
    turns = [
        {who: asks, said: "Hi"},
        {who: answers, said: "bad morning", **first},
        {who: asks, said: "again"},
        {who: answers, said: "good evening", **second},
    ]
    return {column: turns}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("first", "second", "weight"), WAYS, ids=lambda value: str(value))
def test_what_is_trained_is_what_is_switched_on(
    bench: Any, smollm2: Any, shape: str, first: dict[str, Any], second: dict[str, Any], weight: float
) -> None:
    data = bench.prepare(bench.write("a.jsonl", [row_of(shape, first, second)]), test=0)
    assert data.card.format == shape
    (sequence,) = render(smollm2, data.train[0], data.task)
    trained = {
        value: smollm2.decode(sequence.ids[sequence.weights == value].tolist())
        for value in np.unique(sequence.weights[sequence.weights > 0])
    }
    expected = {weight: "good evening<|im_end|>"}
    if first.get("weight") == 0.25:
        expected[0.25] = "bad morning<|im_end|>"
    assert trained == expected


@pytest.mark.parametrize("key", ["weight", "train", "loss"])
def test_a_question_that_is_to_be_trained_is_refused_until_it_is_ignored(bench: Any, key: str) -> None:
    turns = [{"role": "user", "content": "u", key: True}, {"role": "assistant", "content": "a", key: True}]
    off = [{"role": "user", "content": "u", key: False}, {"role": "assistant", "content": "b", key: True}]
    assert not bench.prepare(bench.write("off.jsonl", [{"messages": off}]), test=0).card.unread
    path = bench.write("on.jsonl", [{"messages": turns}])
    with pytest.raises(DataError) as caught:
        bench.prepare(path, test=0)
    assert f"messages[user].{key}: says how much is trained (1 time" in str(caught.value)
    assert caught.value.hint == f'to train without them, say so: ignore: ["messages[user].{key}"]'
    data = bench.prepare(path, test=0, ignore=(f"messages[user].{key}",))
    assert data.train[0].messages[1].weight == 1


def test_offsets_inside_an_answer_are_refused_and_not_trained_whole(bench: Any) -> None:
    detail = [{"begin_offset": 0, "end_offset": 3, "train": False}]
    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a long answer", "train_detail": detail},
    ]
    with pytest.raises(DataError, match=r"messages\[assistant\]\.train_detail: says how much is trained"):
        bench.prepare(bench.write("a.jsonl", [{"messages": turns}]), test=0)


def test_thoughts_are_trained_where_the_template_writes_them_and_refused_where_it_does_not(
    bench: Any, smollm2: Any
) -> None:
    import copy

    turns = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "four", "reasoning_content": "two twos"},
    ]
    data = bench.prepare(bench.write("a.jsonl", [{"messages": turns}]), test=0)
    assert data.train[0].messages[1].reasoning_content == "two twos"
    with pytest.raises(DataError, match=r"leaves out the thoughts of this turn \(reasoning_content\)"):
        render(smollm2, data.train[0], data.task)
    thinking = copy.deepcopy(smollm2)
    thinking.chat_template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n"
        "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    (sequence,) = render(thinking, data.train[0], data.task)
    trained = thinking.decode(sequence.ids[sequence.weights > 0].tolist())
    assert trained == "<think>two twos</think>four<|im_end|>"
    plain = bench.prepare(bench.folder / "a.jsonl", test=0, ignore=("reasoning_content",))
    (sequence,) = render(smollm2, plain.train[0], plain.task)
    assert smollm2.decode(sequence.ids[sequence.weights > 0].tolist()) == "four<|im_end|>"
