"""Every kind of bad request: the status, the field it names, and the exact words."""

# ruff: noqa: E501  (a table is read line by line)

from __future__ import annotations

import json
from typing import Any

import pytest

HELLO = [{"role": "user", "content": "hello"}]


def chat(**changes: Any) -> dict[str, Any]:
    return {"model": "news", "messages": HELLO, **changes}


def message(**fields: Any) -> dict[str, Any]:
    return chat(messages=[fields])


def call_with(arguments: str) -> dict[str, Any]:
    return {
        "role": "assistant",
        "tool_calls": [{"type": "function", "function": {"name": "f", "arguments": arguments}}],
    }


TABLE: list[tuple[str, Any, int, str | None, str]] = [
    ("no JSON", "{nope", 400, None, "the body is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("no UTF-8", b'{"model": "\xff"}', 400, None, "the body is not UTF-8"),
    ("a list", "[]", 400, None, "the body must be a JSON object, not a list"),
    ("NaN", '{"temperature": NaN}', 400, None, "the body is not JSON: NaN is not a JSON value"),
    ("nested", "[" * 100_000, 400, None, "the body is nested too deeply"),
    ("no model", {"messages": HELLO}, 400, "model", "model is missing"),
    ("model", chat(model=3), 400, "model", "model must be a string, not a number"),
    ("unknown model", chat(model="gpt-4o"), 404, "model", "the model 'gpt-4o' is not served here; served: 'news'"),
    ("no messages", {"model": "news"}, 400, "messages", "messages is missing"),
    ("empty messages", chat(messages=[]), 400, "messages", "messages is empty; send at least one message"),
    ("messages", chat(messages="hello"), 400, "messages", "messages must be a list, not a string"),
    ("message", chat(messages=["x"]), 400, "messages[0]", "messages[0] must be an object, not a string"),
    ("no role", message(content="x"), 400, "messages[0].role", "messages[0].role is missing"),
    ("role", message(role="asistant", content="x"), 400, "messages[0].role", "messages[0].role must be one of system, developer, user, assistant, tool, not 'asistant' (did you mean 'assistant'?)"),
    ("no content", message(role="user"), 400, "messages[0].content", "messages[0].content is missing"),
    ("content", message(role="user", content=3), 400, "messages[0].content", "messages[0].content must be a string, not a number"),
    ("image", message(role="user", content=[{"type": "image_url", "image_url": {"url": "x"}}]), 400, "messages[0].content[0].type", "messages[0].content[0].type is 'image_url'; this server reads text only"),
    ("surrogate", '{"model": "news", "messages": [{"role": "user", "content": "\\ud800"}]}', 400, "messages[0].content", "messages[0].content holds half of a surrogate pair, which is no character"),
    ("message field", message(role="user", content="x", contnt="y"), 400, "messages[0].contnt", "messages[0].contnt is not a field that this server knows (did you mean 'content'?)"),
    ("unknown field", chat(max_token=3), 400, "max_token", "max_token is not a field that this server knows (did you mean 'max_tokens'?)"),
    ("n", chat(n=2), 400, "n", "n is not supported by this server"),
    ("tools", chat(tools="lamp"), 400, "tools", "tools must be a list, not a string"),
    ("tool", chat(tools=[{"type": "function"}]), 400, "tools[0].function", "tools[0].function must be an object, not null"),
    ("tool type", chat(tools=[{"type": "web_search"}]), 400, "tools[0].type", "tools[0].type is 'web_search'; this server knows functions only"),
    ("tool name", chat(tools=[{"type": "function", "function": {"name": 3}}]), 400, "tools[0].function.name", "tools[0].function.name must be a string, not a number"),
    ("tool surrogate", '{"model": "news", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", "function": {"name": "f", "description": "\\ud800"}}]}', 400, "tools[0]", "tools[0] holds half of a surrogate pair, which is no character"),
    ("many tools", chat(tools=[{}] * 129), 400, "tools", "tools may hold at most 128 tools, not 129"),
    ("tool_choice", chat(tool_choice="required"), 400, "tool_choice", "tool_choice can be 'none' or 'auto' on this server"),
    ("lost tools", chat(tools=[{"type": "function", "function": {"name": "f"}}]), 422, "messages", "the chat template of tiny-llama leaves out tools, so the model would never see it; choose a model whose template writes it, or prepare without on purpose, as in ignore: [tools]"),
    ("lost name", message(role="user", content="x", name="Ann"), 422, "messages", "the chat template of tiny-llama leaves out name of turn 1 (user), so the model would never see it; choose a model whose template writes it, or prepare without on purpose, as in ignore: [name]"),
    ("arguments", chat(messages=[*HELLO, call_with("{")]), 400, "messages[1].tool_calls[0].function.arguments", "messages[1].tool_calls[0].function.arguments is not JSON"),
    ("arguments list", chat(messages=[*HELLO, call_with("[]")]), 400, "messages[1].tool_calls[0].function.arguments", "messages[1].tool_calls[0].function.arguments must be JSON of an object, not a list"),
    ("arguments NaN", chat(messages=[*HELLO, call_with('{"n": NaN}')]), 400, "messages[1].tool_calls[0].function.arguments", "messages[1].tool_calls[0].function.arguments is not JSON"),
    ("response_format", chat(response_format={"type": "json_object"}), 400, "response_format", "response_format is not supported by this server"),
    ("penalty", chat(frequency_penalty=0.5), 400, "frequency_penalty", "frequency_penalty is not supported by this server"),
    ("bias", chat(logit_bias={"5": 10}), 400, "logit_bias", "logit_bias is not supported by this server"),
    ("temperature high", chat(temperature=2.5), 400, "temperature", "temperature must be between 0 and 2, not 2.5"),
    ("temperature text", chat(temperature="0"), 400, "temperature", "temperature must be a number, not a string"),
    ("temperature flag", chat(temperature=True), 400, "temperature", "temperature must be a number, not a boolean"),
    ("top_p", chat(top_p=-0.1), 400, "top_p", "top_p must be between 0 and 1, not -0.1"),
    ("max_tokens", chat(max_tokens=0), 400, "max_tokens", "max_tokens must be at least 1, not 0"),
    ("max_tokens part", chat(max_tokens=1.5), 400, "max_tokens", "max_tokens must be a whole number, not 1.5"),
    ("both limits", chat(max_tokens=3, max_completion_tokens=4), 400, "max_tokens", "max_tokens contradicts max_completion_tokens; give one of them"),
    ("too many tokens", chat(max_tokens=600), 400, "messages", "the prompt has 20 tokens and max_tokens is 600; together they exceed the 512 tokens that the model reads; ask for at most 492 new tokens"),
    ("too long", chat(messages=[{"role": "user", "content": "a " * 900}]), 400, "messages", "the messages have 1,817 tokens, which exceed the 512 tokens that the model reads, answer included; shorten the conversation"),
    ("stream", chat(stream="yes"), 400, "stream", "stream must be true or false, not a string"),
    ("stream_options", chat(stream_options={"include_usage": True}), 400, "stream_options", "stream_options needs stream to be true"),
    ("stream_options field", chat(stream=True, stream_options={"usage": True}), 400, "stream_options.usage", "stream_options.usage is not a field that this server knows"),
    ("top_logprobs", chat(top_logprobs=2), 400, "top_logprobs", "top_logprobs needs logprobs to be true"),
    ("top_logprobs high", chat(logprobs=True, top_logprobs=21), 400, "top_logprobs", "top_logprobs must be at most 20, not 21"),
    ("logprobs", chat(logprobs=3), 400, "logprobs", "logprobs must be true or false, not a number"),
    ("stop", chat(stop=["a", 3]), 400, "stop[1]", "stop[1] must be a string, not a number"),
    ("empty stop", chat(stop=""), 400, "stop", "stop holds an empty string, which would stop every answer before it begins"),
    ("many stops", chat(stop=["a"] * 17), 400, "stop", "stop may hold at most 16 strings, not 17"),
    ("seed", chat(seed="x"), 400, "seed", "seed must be a whole number, not a string"),
    ("template", message(role="tool", content="x", tool_call_id="1"), 422, "messages", "the model's chat template refuses this conversation (tool): unknown role tool; change the roles, for example put the system text into the first user turn"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "status", "param", "words"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_a_bad_chat_request_is_named(server: Any, sent: Any, status: int, param: str | None, words: str) -> None:
    content = json.dumps(sent) if isinstance(sent, dict) else sent
    answer = server.client.post("/v1/chat/completions", content=content, headers={"Content-Type": "application/json"})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["message"]) == (status, param, words)
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == {404: "not_found_error"}.get(status, "invalid_request_error")
    streamed = server.client.post(
        "/v1/chat/completions",
        content=json.dumps({**sent, "stream": True}) if isinstance(sent, dict) and "stream" not in sent else content,
        headers={"Content-Type": "application/json"},
    )
    if "stream" not in words:
        assert streamed.status_code == status, "an error has its status also when a stream was asked for"


@pytest.mark.parametrize(
    ("sent", "status", "param", "words"),
    [
        ({}, 400, "input", "input is missing"),
        ({"input": []}, 400, "input", "input must hold 1 to 256 texts, not 0"),
        ({"input": ["a", " "]}, 400, "input[1]", "input[1] is empty"),
        ({"input": 3}, 400, "input", "input must be a string, not a number"),
        ({"input": "a", "labels": ["x"]}, 400, "labels", "labels is not a field that this server knows"),
        ({"input": "a", "model": "nope"}, 404, "model", "the model 'nope' is not served here; served: 'news'"),
        ({"input": ["a", "a " * 900]}, 400, "input[1]", "a sequence to score has 1,8"),
    ],
)
def test_a_bad_classify_request_is_named(server: Any, sent: Any, status: int, param: str | None, words: str) -> None:
    answer = server.client.post("/v1/classify", json=sent)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["message"] == words or (words[-1].isdigit() and error["message"].startswith(words))


def test_a_body_that_is_no_json_by_its_header_is_a_415(server: Any) -> None:
    answer = server.client.post("/v1/chat/completions", content="{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        415,
        "send the body with 'Content-Type: application/json', not 'text/plain'",
    )


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_over_the_limit_is_a_413_with_and_without_its_length(start: Any, declared: bool) -> None:
    server = start(max_body_bytes=1000)
    body = json.dumps(chat(user="x" * 2000)).encode()
    content: Any = body if declared else (body[i : i + 100] for i in range(0, len(body), 100))
    answer = server.client.post("/v1/chat/completions", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (413, "the body is larger than 1,000 bytes")
    assert server.chat(max_tokens=1).status_code == 200


def test_unknown_paths_and_wrong_methods_have_the_same_form(server: Any) -> None:
    answer = server.client.get("/v2/nothing")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    answer = server.client.get("/v1/chat/completions")
    assert (answer.status_code, answer.json()["error"]["message"]) == (405, "/v1/chat/completions does not take GET")
    assert answer.headers["allow"] == "POST"


def test_harmless_and_default_fields_are_accepted(server: Any) -> None:
    more = {
        "n": 1, "frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "user": "u", "metadata": {"a": "b"},
        "store": False, "response_format": {"type": "text"}, "tools": [], "tool_choice": "none", "stop": None,
        "seed": None, "top_p": 0, "max_completion_tokens": 2,
    }  # fmt: skip
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    answer = server.client.post("/v1/chat/completions", json=message(role="user", content=parts) | more)
    assert answer.status_code == 200, answer.text
    plain = server.chat(max_tokens=2).json()
    assert answer.json()["choices"] == plain["choices"]
    assert answer.json()["usage"] == plain["usage"]
