"""Requests with tools: what the model reads is what training wrote, and its calls come back as OpenAI's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest
from serving_models import events, model_folder

from dizuo import models
from dizuo.data.rendering.conversations import render_answer, render_chat, render_prompt
from dizuo.engines import Delta, GenerateRequest
from dizuo.records import Chat, Message
from dizuo.serving.bundle.files import Bundle, write

CALL = "{{ {'name': c.function.name, 'arguments': c.function.arguments} | tojson }}"
HERMES = (
    "{% for t in tools or [] %}{{ t | tojson }}\n{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content }}{% for c in m.tool_calls or [] %}<tool_call>\n" + CALL + "\n</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THOUGHT = "assistant\n<think>\n"
LAMP = {
    "type": "function",
    "function": {
        "name": "lamp", "description": "a lamp",
        "parameters": {"type": "object", "properties": {"on": {"type": "boolean"}}},
    },
}  # fmt: skip
ARGUMENTS = {"on": True, "town": "Köln"}
WANTED = {"type": "function", "function": {"name": "lamp", "arguments": ARGUMENTS}}
SENT = {"id": "c1", "type": "function", "function": {"name": "lamp", "arguments": json.dumps(ARGUMENTS)}}
CONVERSATION = [
    {"role": "user", "content": "light!"},
    {"role": "assistant", "content": None, "tool_calls": [SENT]},
    {"role": "tool", "tool_call_id": "c1", "content": "done"},
]


@pytest.fixture(scope="module")
def with_tools(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a tiny model whose template writes tools and calls."""
    folder = model_folder(tmp_path_factory.mktemp("models") / "hermes")
    (folder / "chat_template.jinja").write_text(HERMES, "utf-8")
    return write(tmp_path_factory.mktemp("bundles") / "hermes", name="hermes", spec=models.inspect(folder))


def test_tools_and_earlier_calls_are_read_as_training_writes_them(
    with_tools: Bundle, start: Callable[..., Any]
) -> None:
    server = start(with_tools)
    body = {"model": "hermes", "messages": CONVERSATION, "tools": [LAMP], "max_tokens": 1}
    answer = server.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    messages = [
        Message("user", "light!"),
        Message("assistant", "", tool_calls=({**WANTED, "id": "c1"},)),
        Message("tool", "done", tool_call_id="c1"),
    ]
    ids = render_prompt(server.service.tokenizer, messages, tools=[LAMP])
    assert answer.json()["usage"]["prompt_tokens"] == len(ids)
    seen = asyncio.run(server.service.prompt(messages, [LAMP]))
    assert seen == ids
    body["tool_choice"] = "none"
    without = server.client.post("/v1/chat/completions", json=body).json()["usage"]["prompt_tokens"]
    assert without == len(render_prompt(server.service.tokenizer, messages))


@pytest.mark.parametrize(("asked", "end"), [(None, THOUGHT), (True, THOUGHT), (False, f"{THOUGHT}\n</think>\n\n")])
def test_a_request_turns_thinking_on_and_off(
    with_tools: Bundle, start: Callable[..., Any], asked: bool | None, end: str
) -> None:
    """What it asks for is what a row with thoughts, or one without, was trained behind."""
    server = start(with_tools)
    tokenizer = server.service.tokenizer
    tokenizer.chat_template = tokenizer.chat_template.replace("assistant\n{% endif %}", f"{THOUGHT}{{% endif %}}")
    body: dict[str, Any] = {"model": "hermes", "messages": CONVERSATION[:1], "max_tokens": 1}
    if asked is not None:
        body["chat_template_kwargs"] = {"enable_thinking": asked}
    answer = server.client.post("/v1/chat/completions", json=body).json()
    ids = asyncio.run(server.service.prompt([Message("user", "light!")], thinking=asked))
    assert answer["usage"]["prompt_tokens"] == len(ids)
    assert tokenizer.decode(ids).endswith(end)
    turn = Message("assistant", "on", reasoning_content="hm" if asked is not False else "")
    (trained,) = render_chat(tokenizer, Chat((Message("user", "light!"), turn)))
    assert trained.ids[: trained.num_prompt].tolist() == ids


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content", ["", "Let me see."])
@pytest.mark.parametrize("count", [0, 1, 2])
def test_with_a_fake_engine_calls_come_back_as_calls(
    with_tools: Bundle, start: Callable[..., Any], count: int, content: str, stream: bool
) -> None:
    """The engine writes what training would have taught it."""
    server = start(with_tools)
    turn = Message("assistant", content, tool_calls=(WANTED,) * count)
    rendered = render_answer(server.service.tokenizer, [Message("user", "light!")], [turn], tools=[LAMP])
    ids = tuple(int(token) for token in rendered.ids[rendered.num_prompt : -1])

    async def generate(request: GenerateRequest) -> AsyncGenerator[Delta, None]:
        assert list(request.prompt_ids) == rendered.ids[: rendered.num_prompt].tolist()
        for token in ids[:-1]:
            yield Delta((token,))
        yield Delta(ids[-1:], finish="stop")

    server.service.engine = Fake(server.engine, generate)
    body = {"model": "hermes", "messages": CONVERSATION[:1], "tools": [LAMP], "stream": stream}
    answer = server.client.post("/v1/chat/completions", json=body)
    server.service.engine = server.engine
    assert answer.status_code == 200, answer.text
    finish = "tool_calls" if count else "stop"
    if stream:
        chunks = [event["choices"][0] for event in events(answer.text.split("\n")) if event != "[DONE]"]
        calls = [entry for chunk in chunks for entry in chunk["delta"].get("tool_calls", ())]
        assert [entry["index"] for entry in calls] == list(range(count))
        assert "".join(chunk["delta"].get("content") or "" for chunk in chunks) == content
        assert chunks[-1]["finish_reason"] == finish
    else:
        choice = answer.json()["choices"][0]
        calls = choice["message"].get("tool_calls", [])
        assert choice["message"]["content"] == (content or (None if count else ""))
        assert choice["finish_reason"] == finish
    assert [json.loads(entry["function"]["arguments"]) for entry in calls] == [ARGUMENTS] * count
    assert [entry["function"]["name"] for entry in calls] == ["lamp"] * count
    assert len({entry["id"] for entry in calls}) == count


class Fake:
    """The real engine with another `generate`."""

    def __init__(self, engine: Any, generate: Any) -> None:
        self._engine, self.generate = engine, generate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_a_template_that_writes_no_tools_is_named(server: Any) -> None:
    answer = server.chat("hello", tools=[LAMP])
    assert answer.status_code == 422
    assert "the chat template of tiny-llama leaves out tools" in answer.json()["error"]["message"]
