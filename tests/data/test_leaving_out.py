"""What a chat template does not write is refused by name, for every key that a row can carry."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from data_tokenizers import TEMPLATES, build_tokenizer

from dizuo.data.rendering.conversations import render_answer, render_chat, render_completions, render_prompt
from dizuo.data.rendering.faults import ModelFault
from dizuo.data.rendering.last_token import render_conversation
from dizuo.errors import DataError
from dizuo.records import Chat, Message

TOOLS = (
    "{% for t in tools or [] %}{{ t.function.name }}: {{ t.function.description }} {{ t.function.parameters }}\n"
    "{% endfor %}"
)
CALL = "<call>{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}</call>"
WHOLE = (
    TOOLS + "{% for m in messages %}<|im_start|>{{ m.role }}{{ m.name }}{{ m.tool_call_id }}\n"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}"
    "{% for c in m.tool_calls or [] %}" + CALL + "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""A template that writes every key."""
DROPPED: dict[str, tuple[str, str]] = {
    "tools": (TOOLS, ""),
    "tools[].name": ("{{ t.function.name }}", ""),
    "tools[].description": ("{{ t.function.description }}", ""),
    "tools[].parameters": ("{{ t.function.parameters }}", ""),
    "tool_calls": (CALL, ""),
    "tool_calls[].name": ("c.function.name", "'f'"),
    "tool_calls[].arguments": ("c.function.arguments", "{}"),
    "tool_calls of turn 3": ("m.tool_calls or []", "(m.tool_calls or [])[:0]"),
    "name": ("{{ m.name }}", ""),
    "tool_call_id": ("{{ m.tool_call_id }}", ""),
    "reasoning_content": ("<think>{{ m.reasoning_content }}</think>", ""),
    "content of turn 3 (assistant)": ("{{ m.content }}", "{{ m.content if not m.tool_calls }}"),
    "content of turn 4 (tool)": ("{{ m.content }}", "{{ m.content if m.role != 'tool' }}"),
    "turn 1 (system)": ("{{ m.content }}", "{{ m.content if m.role != 'system' }}"),
    "turn 2 (user)": ("{{ m.content }}", "{{ m.content if m.role != 'user' }}"),
}
"""Key: what a template that leaves it out has instead."""


def call(name: str, identity: str, **arguments: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather", "description": "says how it is",
        "parameters": {"type": "object", "properties": {"town": {"type": "string"}}},
    },
}  # fmt: skip
MESSAGES = (
    Message("system", "be kind"),
    Message("user", "rain?", name="Ann"),
    Message(
        "assistant", "let me look", tool_calls=(call("weather", "a", town="Bonn"), call("weather", "b", town="Köln"))
    ),
    Message("tool", "dry", tool_call_id="b", name="weather"),
    Message("tool", "wet", tool_call_id="a", name="weather"),
    Message("assistant", "in Bonn", reasoning_content="a was Bonn"),
)
CHAT = Chat(MESSAGES, tools=(WEATHER,))

USES: dict[str, Callable[[Any], object]] = {
    "trained": lambda tokenizer: render_chat(tokenizer, CHAT),
    "trained as one of two answers": lambda tokenizer: render_answer(
        tokenizer, MESSAGES[:5], MESSAGES[5:], tools=(WEATHER,)
    ),
    "judged": lambda tokenizer: render_conversation(tokenizer, MESSAGES[:5], MESSAGES[5:], tools=(WEATHER,)),
    "asked": lambda tokenizer: render_prompt(tokenizer, MESSAGES[:5], tools=(WEATHER,)),
    "scored": lambda tokenizer: render_completions(tokenizer, MESSAGES[:5], ["yes", "no"], tools=(WEATHER,)),
}


def test_there_is_a_template_without_each_key_that_a_turn_or_a_row_can_carry() -> None:
    carried = {field.name for field in fields(Message)} - {"role", "weight", "content"}
    assert carried | {"tools"} == {re.split(r"[\[ ]", key)[0] for key in DROPPED} - {"content", "turn"}
    rendered = {field.name for field in fields(Chat)} - {"references", "group", "id", "origin"}
    assert rendered == {"messages", "tools"}


@pytest.mark.parametrize("use", USES)
def test_a_template_that_writes_everything_is_used(use: str) -> None:
    assert USES[use](build_tokenizer(WHOLE))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("key", DROPPED)
def test_a_key_that_the_template_leaves_out_is_refused_by_name(key: str, use: str) -> None:
    if key == "reasoning_content" and use in ("asked", "scored"):
        return  # thoughts of earlier turns are dropped on purpose
    written, instead = DROPPED[key]
    assert written in WHOLE
    with pytest.raises(ModelFault) as caught:
        USES[use](build_tokenizer(WHOLE.replace(written, instead)))
    assert key in caught.value.message
    assert "chat template" in caught.value.message
    plain = key.split("[")[0].split(" ")[0]
    assert plain in ("content", "turn") or f"ignore: [{plain}]" in str(caught.value.hint)


def test_all_that_is_lost_is_named_at_once() -> None:
    with pytest.raises(ModelFault) as caught:
        render_chat(build_tokenizer(TEMPLATES["chatml"]), CHAT)
    assert caught.value.message == (
        "the model's chat template leaves out tools and name of turn 2 (user) and tool_calls of turn 3 (assistant) and "
        "tool_call_id of results that stand in another order than their calls, so the model would never see it"
    )
    assert caught.value.hint == (
        "choose a model whose template writes them, or prepare without on purpose, as in ignore: "
        "[tools, name, tool_calls, tool_call_id]"
    )


def test_a_fault_is_found_again_in_every_row_and_what_was_found_whole_is_not_looked_at_again() -> None:
    tokenizer = build_tokenizer(TEMPLATES["chatml"])
    for _ in range(2):
        with pytest.raises(ModelFault, match="leaves out tools"):
            render_prompt(tokenizer, [Message("user", "hello")], tools=(WEATHER,))
    whole = build_tokenizer(WHOLE)
    asked = []
    apply = whole.apply_chat_template
    whole.apply_chat_template = lambda *args, **kwargs: asked.append(1) or apply(*args, **kwargs)
    counts = []
    for town in ("Bonn", "Köln", "Ulm"):
        asked.clear()
        turn = replace(MESSAGES[2], tool_calls=(call("weather", "a", town=town),))
        render_prompt(whole, [*MESSAGES[:2], turn, MESSAGES[4]], tools=(WEATHER,))
        counts.append(len(asked))
    assert counts[0] > 3 * counts[1]
    assert counts[1] == counts[2]


@pytest.mark.parametrize("form", ["chat", "text"])
def test_what_a_judge_reads_as_text_is_the_contents_alone(form: Any) -> None:
    tokenizer = build_tokenizer(WHOLE)
    question, answer = (Message("user", "rain?"),), (Message("assistant", "dry"),)
    assert len(render_conversation(tokenizer, question, answer, form=form).ids)
    for key, tools, turn in [
        ("tools", (WEATHER,), answer[0]),
        ("tool_calls", (), replace(answer[0], tool_calls=(call("weather", "a"),))),
        ("reasoning_content", (), replace(answer[0], reasoning_content="hm")),
        ("name", (), replace(answer[0], name="Ann")),
    ]:
        if form == "chat":
            assert len(render_conversation(tokenizer, question, (turn,), tools=tools, form=form).ids)
            continue
        with pytest.raises(DataError, match=rf"form: text leaves out {key}"):
            render_conversation(tokenizer, question, (turn,), tools=tools, form=form)


@pytest.mark.parametrize("name", ["chatml", "qwen3", "r1"])
def test_thoughts_inside_the_content_are_written_or_refused(name: str) -> None:
    """The first template of R1 took thoughts out of every answer, and its prompt began none."""
    cut = TEMPLATES["r1"].replace("<|im_start|>assistant\n<think>\n{% endif %}", "<|im_start|>assistant\n{% endif %}")
    answer = Message("assistant", "<think>\nhm\n</think>\n\nsport")
    chat = Chat((Message("user", "hello"), answer))
    tokenizer = build_tokenizer(TEMPLATES[name])
    assert "hm" in tokenizer.decode(render_chat(tokenizer, chat)[0].ids)
    if name == "r1":
        with pytest.raises(ModelFault, match="leaves out the thoughts of this turn"):
            render_chat(build_tokenizer(cut), chat)
