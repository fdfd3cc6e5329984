"""Calls are read back from what a model has written, in whichever form its template writes them."""

from __future__ import annotations

from typing import Any

import pytest
from data_tokenizers import TEMPLATES, build_tokenizer

from dizuo.data.rendering.calls import call_form, make_call, read_calls
from dizuo.data.rendering.conversations import render_answer
from dizuo.records import Message

TURN = (
    "{% if tools %}{{ tools | tojson }}\n{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "@CALLS@<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
EACH = "{% for c in m.tool_calls or [] %}@CALL@{% endfor %}"
ARGUMENTS = "{% for key, value in c.function.arguments | items %}"
FORMS = {
    "hermes": EACH.replace(
        "@CALL@",
        "\n<tool_call>\n{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}\n</tool_call>",
    ),
    "bare": EACH.replace("@CALL@", "{{ {'name': c.function.name, 'parameters': c.function.arguments} | tojson }}; "),
    "list": "{% if m.tool_calls %}<|start|>{{ m.tool_calls | map(attribute='function') | list | tojson }}{% endif %}",
    "openai": "{% if m.tool_calls %}<calls>{{ m.tool_calls | tojson }}</calls>{% endif %}",
    "quoted": EACH.replace(
        "@CALL@", "<call>{{ {'name': c.function.name, 'arguments': c.function.arguments | tojson} | tojson }}</call>"
    ),
    "fenced": "{% if m.tool_calls %}<calls>" + EACH.replace(
        "@CALL@", "<call>function<sep>{{ c.function.name }}\n```json\n{{ c.function.arguments | tojson }}\n```</call>"
    ) + "</calls>{% endif %}",
    "marked": EACH.replace("@CALL@", "[CALL]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}"),
    "joined": EACH.replace("@CALL@", "<|start|>{{ c.function.name }}{{ c.function.arguments | tojson }}"),
    "xml": EACH.replace(
        "@CALL@",
        "\n<tool_call>\n<function={{ c.function.name }}>\n" + ARGUMENTS + "<parameter={{ key }}>\n"
        "{{ value if value is string else value | tojson }}\n</parameter>\n{% endfor %}</function>\n</tool_call>",
    ),
    "pairs": EACH.replace(
        "@CALL@",
        "\n<tool_call>{{ c.function.name }}\n" + ARGUMENTS + "<arg_key>{{ key }}</arg_key>\n<arg_value>"
        "{{ value if value is string else value | tojson }}</arg_value>\n{% endfor %}</tool_call>",
    ),
}  # fmt: skip
KINDS = {"fenced": "apart", "marked": "apart", "joined": "apart", "xml": "pairs", "pairs": "pairs"}
TYPES = {"on": "boolean", "town": "string", "n": "integer", "of": "array", "deep": "object"}
LAMP = {
    "type": "function",
    "function": {
        "name": "lamp", "description": "a lamp",
        "parameters": {"type": "object", "properties": {key: {"type": kind} for key, kind in TYPES.items()}},
    },
}  # fmt: skip
CALLS: list[dict[str, Any]] = [
    {},
    {"on": True},
    {"town": "Köln\nam Rhein", "n": -3},
    {"town": "12"},
    {"of": [1, "two", None], "deep": {"on": {"off": "}"}}},
    {"town": '{"name": "lamp", "arguments": {}}'},
]


@pytest.mark.parametrize("name", FORMS)
def test_what_a_template_writes_is_read_back(name: str) -> None:
    tokenizer = build_tokenizer(TURN.replace("@CALLS@", FORMS[name]))
    form = call_form(tokenizer)
    assert form is not None
    assert form.kind == KINDS.get(name, "json")
    for content in ("", "let me look"):
        if content and not form.lead:
            continue  # a call that begins the answer has nothing before it
        for several in [*([arguments] for arguments in CALLS), CALLS[:3]]:
            calls = tuple(make_call("lamp", arguments) for arguments in several)
            turn = Message("assistant", content, tool_calls=calls)
            rendered = render_answer(tokenizer, [Message("user", "hello")], [turn], tools=[LAMP])
            written = tokenizer.decode(rendered.ids[rendered.weights > 0])
            assert read_calls(tokenizer, written, tools=[LAMP]) == (content, calls)
            assert read_calls(tokenizer, written.removesuffix("<|im_end|>"), tools=[LAMP]) == (content, calls)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("text", ["", "hello", "a { b", "[1, 2]", '{"n": 1}', "<tool_call>", "<call>{", "[CALL]lamp"])
def test_an_answer_without_calls_stays_as_it_is(name: str, text: str) -> None:
    assert read_calls(build_tokenizer(TURN.replace("@CALLS@", FORMS[name])), text) == (text, ())


def test_a_template_that_writes_no_calls_has_none_to_read() -> None:
    tokenizer = build_tokenizer(TEMPLATES["chatml"])
    assert call_form(tokenizer) is None
    assert read_calls(tokenizer, '<tool_call>\n{"name": "lamp", "arguments": {}}\n</tool_call>')[1] == ()
