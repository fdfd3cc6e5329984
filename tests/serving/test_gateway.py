"""The OpenAI API over a real socket: answers, streams, and what happens when somebody leaves."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from serving_models import TASK, events

from dizuo.data.rendering.conversations import render_prompt
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.engines import GenerateRequest, generate_all
from dizuo.records import Message


def until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def test_the_tiny_model_talks_without_end_when_greedy(server: Any) -> None:
    """Other tests here lean on it: an answer that is cut off by nothing but what they test."""
    assert server.chat(max_tokens=400).json()["usage"]["completion_tokens"] == 400


def test_an_answer_has_the_form_that_clients_expect(server: Any) -> None:
    answer = server.chat(max_tokens=5)
    assert answer.status_code == 200
    body = answer.json()
    prompt = render_prompt(server.service.tokenizer, [Message("user", "hello")])
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert body["model"] == "news"
    assert body["system_fingerprint"].startswith("dizuo-")
    assert abs(body["created"] - time.time()) < 60
    assert body["usage"] == {
        "prompt_tokens": len(prompt),
        "completion_tokens": 5,
        "total_tokens": len(prompt) + 5,
    }
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["role"] == "assistant"
    assert choice["logprobs"] is None


def test_the_server_answers_with_the_tokens_of_the_engine(server: Any) -> None:
    service = server.service
    messages = [
        Message("system", "Be brief."),
        Message("user", "早上好 👋"),
        Message("assistant", "Hi"),
        Message("user", "?"),
    ]
    prompt = render_prompt(service.tokenizer, messages)
    expected = generate_all(service.engine, [GenerateRequest(prompt, service.sampling(len(prompt)), "bundle")])[0]
    body = {"model": "news", "messages": [m.as_template_dict() for m in messages]}
    content = server.client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]["content"]
    assert content == service.tokenizer.decode(expected.ids, skip_special_tokens=True).rstrip("\ufffd")


@pytest.mark.parametrize("more", [{}, {"temperature": 1.0, "seed": 3}, {"temperature": 1.7, "seed": 5, "stop": ["e"]}])
def test_a_stream_says_the_same_as_a_whole_answer(server: Any, more: dict[str, Any]) -> None:
    whole = server.chat(max_tokens=40, **more).json()
    answer = server.chat(max_tokens=40, stream=True, stream_options={"include_usage": True}, **more)
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events(answer.text.split("\n\n"))
    assert done == "[DONE]"
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks[:-1])
    assert text == whole["choices"][0]["message"]["content"]
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None] * (len(chunks) - 2) + [
        whole["choices"][0]["finish_reason"]
    ]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert {c["id"] for c in chunks} == {chunks[0]["id"]}


def test_usage_is_streamed_only_when_it_was_asked_for(server: Any) -> None:
    chunks = events(server.chat(max_tokens=3, stream=True).text.split("\n\n"))
    assert all("usage" not in chunk for chunk in chunks[:-1])
    assert all(chunk["choices"] for chunk in chunks[:-1])


def test_a_stop_string_ends_the_answer_before_it(server: Any) -> None:
    for seed in range(100):
        free = server.chat(max_tokens=60, temperature=1, seed=seed).json()["choices"][0]["message"]["content"]
        if len(free) >= 8:
            break
    stop = free[4:6]
    cut = server.chat(max_tokens=60, temperature=1, seed=seed, stop=[stop, "never-there"]).json()["choices"][0]
    assert cut["message"]["content"] == free[: free.index(stop)]
    assert cut["finish_reason"] == "stop"
    until(lambda: server.engine.stats().running == 0)


def test_logprobs_have_one_entry_per_token_with_bytes_that_give_the_text(server: Any) -> None:
    more = {"max_tokens": 30, "temperature": 1, "seed": 4, "logprobs": True, "top_logprobs": 2}
    body = server.chat(**more).json()
    entries = body["choices"][0]["logprobs"]["content"]
    assert len(entries) == body["usage"]["completion_tokens"] == 30
    raw = b"".join(bytes(entry["bytes"]) for entry in entries)
    assert raw.decode("utf-8", "replace").rstrip("\ufffd") == body["choices"][0]["message"]["content"]
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 2 for entry in entries)
    assert all(e["top_logprobs"][0]["logprob"] >= e["top_logprobs"][1]["logprob"] for e in entries)
    chunks = events(server.chat(stream=True, **more).text.split("\n\n"))[:-1]
    streamed = [e for c in chunks for e in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
    assert streamed == entries


def test_the_seed_decides(server: Any) -> None:
    texts = [
        server.chat(max_tokens=12, temperature=1.5, seed=seed).json()["choices"][0]["message"]["content"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_models_are_listed(server: Any) -> None:
    listed = server.client.get("/v1/models").json()
    assert listed["object"] == "list"
    (model,) = listed["data"]
    assert (model["id"], model["object"], model["context_length"]) == ("news", "model", 512)
    assert server.client.get("/v1/models/news").json() == model
    assert server.client.get("/v1/models/nope").status_code == 404


def test_health_and_readiness(server: Any) -> None:
    assert server.client.get("/health").json() == {"status": "ok"}
    assert server.client.get("/ready").json() == {"status": "ready", "models": ["news"]}
    server.gateway.draining = True
    try:
        answer = server.client.get("/ready")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert server.client.get("/health").status_code == 200
    finally:
        server.gateway.draining = False


def test_every_answer_carries_a_request_id(server: Any) -> None:
    given = server.client.get("/health", headers={"X-Request-Id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    for answer in (server.client.get("/nope"), server.chat(max_tokens=1), server.chat(n=3)):
        assert len(answer.headers["x-request-id"]) == 32
    strange = server.client.get("/health", headers={"X-Request-Id": "a b;c"})
    assert len(strange.headers["x-request-id"]) == 32


def test_the_access_log_has_one_line_of_json_per_request_and_no_key(
    start: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import hashlib

    key = "a-very-secret-key-123"
    keyed = start(keys={"ann": hashlib.sha256(key.encode()).digest()})
    with caplog.at_level("INFO", logger="dizuo.serving"):
        headers = {"Authorization": f"Bearer {key}", "X-Request-Id": "r1"}
        keyed.client.get("/v1/models", headers=headers)
        until(lambda: caplog.records)
    entry = json.loads(caplog.records[0].getMessage())
    assert {k: entry[k] for k in ("request_id", "path", "status", "key")} == {
        "request_id": "r1",
        "path": "/v1/models",
        "status": 200,
        "key": "ann",
    }
    assert key not in caplog.text


def test_classify_gives_the_label_that_scoring_gives(server: Any) -> None:
    texts = ["Shares fell on Monday.", "他们赢得了比赛 ⚽", "x"]
    answer = server.client.post("/v1/classify", json={"input": texts, "model": "news"})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert [row["index"] for row in data] == [0, 1, 2]
    import torch
    from peft import PeftModel
    from transformers import LlamaForCausalLM

    from dizuo.data.rendering.conversations import render_completions

    base = LlamaForCausalLM.from_pretrained(server.spec_folder)
    plain = PeftModel.from_pretrained(base, server.adapter_folder).eval()
    for text, row in zip(texts, data, strict=True):
        sums = {}
        for label, rendered in zip(
            TASK.labels,
            render_completions(server.service.tokenizer, prompt_messages(text, TASK), TASK.labels),
            strict=True,
        ):
            with torch.no_grad():
                logp = torch.log_softmax(plain(input_ids=torch.tensor([rendered.ids.tolist()])).logits[0], -1)
            places = range(rendered.num_prompt, len(rendered.ids))
            sums[label] = sum(float(logp[i - 1, rendered.ids[i]]) for i in places)
        total = sum(2.718281828459045**value for value in sums.values())
        expected = {label: 2.718281828459045**value / total for label, value in sums.items()}
        assert row["probabilities"] == pytest.approx(expected, abs=1e-4)
        assert row["label"] == max(expected, key=lambda label: expected[label])
        assert list(row["probabilities"].values()) == sorted(row["probabilities"].values(), reverse=True)
        assert sum(row["probabilities"].values()) == pytest.approx(1)


def test_a_client_that_leaves_a_stream_frees_its_place(start: Any) -> None:
    server = start()
    slow(server)
    body = {
        "model": "news",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 480,
        "stream": True,
        "logprobs": True,
    }
    with httpx.Client() as client, client.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()  # kept: a forgotten one closes the connection
        next(lines)
        assert server.engine.stats().running == 1
    until(lambda: server.engine.stats().running == 0)
    assert server.engine.stats().finished == {"cancelled": 1}


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_before_the_answer_frees_its_place(start: Any, stream: bool) -> None:
    server = start(max_running=1)
    hold = {"model": "news", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 480}
    forever = slow(server)
    with (
        httpx.Client() as client,
        client.stream("POST", f"{server.url}/v1/chat/completions", json={**hold, "stream": True}) as first,
    ):
        lines = first.iter_lines()
        next(lines)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{server.url}/v1/chat/completions", json={**hold, "stream": stream}, timeout=0.3)
        until(lambda: server.engine.stats().waiting == 0)
        assert server.engine.stats().running == 1
    until(lambda: server.engine.stats().running == 0)
    forever()


def slow(server: Any, seconds: float = 0.01) -> Any:
    """Make every step of the engine take longer; return what makes it quick again."""
    backend = server.engine._backend
    step = backend.step

    def patient(works: Any) -> Any:
        time.sleep(seconds)
        return step(works)

    backend.step = patient

    def quick() -> None:
        backend.step = step

    return quick


def test_a_full_queue_is_a_429_with_retry_after_also_for_streams(start: Any) -> None:
    server = start(max_running=1, max_waiting=1)
    slow(server)
    import threading

    statuses: list[int] = []

    def ask() -> None:
        statuses.append(httpx.post(f"{server.url}/v1/chat/completions", json=long, timeout=60).status_code)

    long = {"model": "news", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 60}
    threads = [threading.Thread(target=ask) for _ in range(2)]
    threads[0].start()
    until(lambda: server.engine.stats().running == 1)
    threads[1].start()
    until(lambda: server.engine.stats().waiting == 1)
    for stream in (False, True):
        answer = server.chat(max_tokens=5, stream=stream)
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert answer.json() == {
            "error": {
                "message": "the server is busy: its queue is full; try again in a moment",
                "type": "rate_limit_error",
                "param": None,
                "code": "queue_full",
            }
        }
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]


def test_a_deadline_is_a_503_and_an_error_event_in_a_stream(start: Any) -> None:
    server = start(timeout=1.5)
    slow(server, 0.05)
    answer = server.chat(max_tokens=400)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "deadline_exceeded")
    parts = events(server.chat(max_tokens=400, stream=True).text.split("\n\n"))
    assert parts[0]["choices"]
    assert parts[-1]["error"]["code"] == "deadline_exceeded"
    assert "[DONE]" not in parts


def test_a_failing_engine_is_a_500_that_says_nothing_internal(start: Any) -> None:
    server = start()

    def broken(works: Any) -> Any:
        raise RuntimeError("/secret/path is gone")

    step, server.engine._backend.step = server.engine._backend.step, broken
    answer = server.chat()
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the server failed on this request; its log has the reason"
    server.engine._backend.step = step
    assert server.chat(max_tokens=2).status_code == 200


def test_a_closed_engine_is_a_503_with_retry_after(start: Any) -> None:
    server = start()
    server.engine.close()
    answer = server.chat()
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["retry-after"]) == (
        503,
        "unavailable",
        "5",
    )


def test_a_default_limit_shrinks_to_the_context_and_one_asked_for_does_not(server: Any) -> None:
    text = "a" * 440
    assert server.chat(text).status_code == 200
    answer = server.chat(text, max_tokens=100)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_many_clients_at_once_get_their_own_answers(server: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    texts = [f"question {i}" for i in range(24)]
    alone = [server.chat(text, max_tokens=10).json()["choices"][0]["message"]["content"] for text in texts]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda text: server.chat(text, max_tokens=10).json(), texts))
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == alone
