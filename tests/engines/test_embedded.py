"""The embedded engine: right answers in any company, sampling, stops, adapters, scores."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from engine_models import CONTEXT, greedy, tiny

from dizuo.engines import Engine, GenerateRequest, RequestRefused, Sampling, ScoreRequest, generate_all
from dizuo.engines.kinds.embedded.engine import Embedded
from dizuo.engines.kinds.embedded.packed import NAME
from dizuo.errors import ServingError

RANDOM = np.random.default_rng(3)


def prompts(count: int, *, longest: int = 40) -> list[list[int]]:
    return [RANDOM.integers(3, 211, size=RANDOM.integers(1, longest)).tolist() for _ in range(count)]


def ask(prompt: list[int], count: int = 12, **more: Any) -> GenerateRequest:
    adapter = more.pop("adapter", None)
    return GenerateRequest(prompt, Sampling(max_tokens=count, **more), adapter=adapter)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral", "gemma3", "phi3", "gpt2"])
def test_packed_answers_equal_the_plain_model(engine_of: Any, kind: str) -> None:
    changes = {"mistral": {"sliding_window": 9}, "gemma3": {"sliding_window": 9, "head_dim": 8}}.get(kind, {})
    module = tiny(kind, **changes)
    many = prompts(20)
    expected = [greedy(module, prompt, 12) for prompt in many]
    engine = engine_of(module)
    assert engine.stats().details["batching"] == "packed", engine.stats().details
    answers = generate_all(engine, [ask(prompt) for prompt in many])
    assert {(answer.finish, answer.error) for answer in answers} == {("length", "")}
    assert [list(answer.ids) for answer in answers] == expected


@pytest.mark.parametrize("kind", ["bloom", "mamba"])
def test_models_that_cannot_be_packed_run_one_by_one_and_say_why(engine_of: Any, kind: str) -> None:
    module = tiny(kind)
    many = prompts(6)
    expected = [greedy(module, prompt, 8) for prompt in many]
    engine = engine_of(module)
    assert engine.stats().details["batching"] == "single"
    assert engine.stats().details["why"]
    assert [list(a.ids) for a in generate_all(engine, [ask(prompt, 8) for prompt in many])] == expected


@pytest.mark.parametrize("step_tokens", [3, 16, 512])
@pytest.mark.parametrize("max_running", [1, 3, 8])
def test_greedy_answers_do_not_depend_on_batch_size_or_chunking(
    engine_of: Any, max_running: int, step_tokens: int
) -> None:
    module = tiny("llama")
    many = prompts(24)
    expected = [greedy(module, prompt, 12) for prompt in many]
    engine = engine_of(module, max_running=max_running, step_tokens=step_tokens)
    assert [list(a.ids) for a in generate_all(engine, [ask(prompt) for prompt in many])] == expected


def test_shared_prefixes_are_computed_once_and_change_nothing(engine_of: Any) -> None:
    module = tiny("llama")
    head = RANDOM.integers(3, 211, size=100).tolist()
    many = [head + tail for tail in prompts(20, longest=8)] + [head, head]
    expected = [greedy(module, prompt, 6) for prompt in many]
    engine = engine_of(module, max_running=8)
    assert [list(a.ids) for a in generate_all(engine, [ask(prompt, 6) for prompt in many])] == expected
    stats = engine.stats()
    total = sum(len(prompt) for prompt in many)
    assert stats.prompt_tokens + stats.reused_tokens == total
    assert stats.reused_tokens >= 100 * (len(many) - 2)


def test_a_prefix_is_never_taken_from_another_adapter(engine_of: Any, adapter_of: Any) -> None:
    engine = engine_of()
    engine.load_adapter("one", adapter_of("one", 1))
    head = RANDOM.integers(3, 211, size=60).tolist()
    alone = generate_all(engine, [ask([*head, 5], adapter="one")])
    generate_all(engine, [ask([*head, 5])])
    assert generate_all(engine, [ask([*head, 5], adapter="one")]) == alone
    assert engine.stats().reused_tokens == 60  # the second time with its own adapter only


def test_a_follow_up_turn_reuses_the_answer_before_it(engine_of: Any) -> None:
    engine = engine_of()
    prompt = RANDOM.integers(3, 211, size=30).tolist()
    first = generate_all(engine, [ask(prompt, 10)])[0]
    longer = [*prompt, *first.ids, 9, 10, 11]
    second = generate_all(engine, [ask(longer, 10)])[0]
    assert list(second.ids) == greedy(tiny("llama"), longer, 10)
    assert engine.stats().reused_tokens == 39  # the last drawn token was never read


def test_adapters_share_a_batch_and_each_request_gets_its_own(engine_of: Any, adapter_of: Any) -> None:
    from peft import PeftModel

    folders = {name: adapter_of(name, seed) for seed, name in enumerate(["alpha", "beta.2"])}
    many = prompts(8)
    expected: dict[str | None, list[list[int]]] = {None: [greedy(tiny("llama"), p, 8) for p in many]}
    for name, folder in folders.items():
        merged = PeftModel.from_pretrained(tiny("llama"), str(folder))
        expected[name] = [greedy(merged, p, 8) for p in many]
    assert expected["alpha"] != expected["beta.2"] != expected[None]
    engine = engine_of(max_running=8)
    for name, folder in folders.items():
        engine.load_adapter(name, folder)
    assert engine.adapters() == ("alpha", "beta.2")
    names = [None, "alpha", "beta.2"] * len(many)
    wanted = [(name, i // 3) for i, name in enumerate(names)]
    answers = generate_all(engine, [ask(many[i], 8, adapter=name) for name, i in wanted])
    assert [list(a.ids) for a in answers] == [expected[name][i] for name, i in wanted]


def test_an_adapter_can_be_dropped_and_its_name_used_again(engine_of: Any, adapter_of: Any) -> None:
    engine = engine_of()
    prompt = prompts(1)[0]
    engine.load_adapter("x", adapter_of("one", 1))
    first = generate_all(engine, [ask(prompt, adapter="x")])
    engine.unload_adapter("x")
    with pytest.raises(RequestRefused, match="no adapter is called 'x'; loaded: none"):
        generate_all(engine, [ask(prompt, adapter="x")])
    plain = generate_all(engine, [ask(prompt)])
    assert list(plain[0].ids) == greedy(tiny("llama"), prompt, 12)
    engine.load_adapter("x", adapter_of("two", 2))
    assert generate_all(engine, [ask(prompt, adapter="x")]) != first


def test_a_folder_that_is_no_adapter_is_named(engine_of: Any, adapter_of: Any, tmp_path: Path) -> None:
    engine = engine_of()
    with pytest.raises(ServingError, match=r"holds no adapter: adapter_config.json is missing"):
        engine.load_adapter("x", tmp_path)
    with pytest.raises(ServingError, match="is not an adapter name"):
        engine.load_adapter("../x", tmp_path)
    folder = adapter_of("other", 1, kind="gpt2")
    with pytest.raises(ServingError, match="is not an adapter for this model"):
        engine.load_adapter("x", folder)
    assert engine.adapters() == ()
    assert len(generate_all(engine, [ask([5, 6], 3)])[0].ids) == 3


def test_a_seed_decides_the_answer_whatever_the_company(engine_of: Any) -> None:
    many = prompts(6)
    requests = [ask(p, 10, temperature=0.8, top_p=0.9, seed=i) for i, p in enumerate(many)]
    engine = engine_of(max_running=8)
    together = [answer.ids for answer in generate_all(engine, requests)]
    alone = [generate_all(engine, [request])[0].ids for request in requests]
    assert together == alone
    other = [generate_all(engine, [ask(p, 10, temperature=0.8, seed=99)])[0].ids for p in many]
    assert other != alone
    free = {generate_all(engine, [ask(many[0], 10, temperature=1.5)])[0].ids for _ in range(4)}
    assert len(free) > 1  # no seed: a fresh one each time


def test_a_stop_id_ends_the_answer_and_is_not_part_of_it(engine_of: Any) -> None:
    prompt = prompts(1)[0]
    full = greedy(tiny("llama"), prompt, 12)
    stop = full[5]
    answer = generate_all(engine_of(), [ask(prompt, 12, stop_ids=(stop, 210))])[0]
    assert answer.finish == "stop"
    assert list(answer.ids) == full[: full.index(stop)]


def test_logprobs_are_the_models_own(engine_of: Any) -> None:
    module = tiny("llama")
    prompt = prompts(1)[0]
    with torch.no_grad():
        own = torch.log_softmax(module(input_ids=torch.tensor([prompt])).logits[0, -1], -1)
    for temperature in (0.0, 1.3):
        request = ask(prompt, 1, temperature=temperature, seed=1, top_k=2, logprobs=3)
        answer = generate_all(engine_of(module), [request])[0]
        (entry,) = answer.logprobs
        assert entry.id == answer.ids[0]
        assert entry.logprob == pytest.approx(float(own[entry.id]), abs=1e-4)
        assert [token for token, _ in entry.top] == own.topk(3).indices.tolist()


@pytest.mark.parametrize("adapter", [None, "one"])
def test_scores_equal_the_plain_model_and_share_the_engine_with_answers(
    engine_of: Any, adapter_of: Any, adapter: str | None
) -> None:
    from peft import PeftModel

    pytest.importorskip("dizuo.trees")
    folder = adapter_of("one", 1)
    engine = engine_of()
    engine.load_adapter("one", folder)
    plain = tiny("llama") if adapter is None else PeftModel.from_pretrained(tiny("llama"), str(folder)).eval()
    rows = [[3, 4, 5, 6, 7], [3, 4, 5, 9, 9, 9], [8, 1, 2]]
    requests = [ScoreRequest(ids, [0.0] * 2 + [1.0] * (len(ids) - 2), adapter) for ids in rows]
    before = generate_all(engine, [ask(rows[0], adapter=adapter)])
    found = asyncio.run(engine.score(requests))
    for ids, values in zip(rows, found, strict=True):
        with torch.no_grad():
            logp = torch.log_softmax(plain(input_ids=torch.tensor([ids])).logits[0], -1)
        expected = [float(logp[i - 1, ids[i]]) for i in range(2, len(ids))]
        assert values == pytest.approx(expected, abs=1e-4)
    assert generate_all(engine, [ask(rows[0], adapter=adapter)]) == before


def test_closing_gives_the_module_back_as_it_was(engine_of: Any) -> None:
    module = tiny("llama")
    engine = engine_of(module)
    generate_all(engine, [ask([5, 6, 7], 2)])
    assert module.config._attn_implementation == NAME
    engine.close()
    engine.close()
    assert module.config._attn_implementation == "sdpa"


def test_the_engine_is_an_engine(engine_of: Any) -> None:
    engine: Engine = engine_of()
    assert isinstance(engine, Engine)
    assert isinstance(engine, Embedded)
    assert engine.context_length == CONTEXT


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (lambda: ask([]), "the prompt is empty"),
        (lambda: ask([5] * 600), r"the prompt has 600 tokens .* together they exceed the 512 tokens"),
        (lambda: ask([5] * 500, 13), "ask for at most 12 new tokens"),
        (lambda: ask([5, 211]), "token id 211 is not in the vocabulary of 211"),
        (lambda: ask([5], adapter="nope"), "no adapter is called 'nope'; loaded: none"),
        (lambda: ask([5], 0), "max_tokens must be at least 1, not 0"),
        (lambda: ask([5], temperature=-1), "temperature must be a finite number of at least 0, not -1"),
        (lambda: ask([5], temperature=float("nan")), "temperature must be a finite number"),
        (lambda: ask([5], top_p=0), r"top_p must be in \(0, 1\], not 0"),
        (lambda: ask([5], top_k=-1), "top_k must be at least 0, not -1"),
        (lambda: ask([5], logprobs=-1), "logprobs must be at least 0, not -1"),
    ],
)
def test_requests_that_can_never_work_are_refused(engine_of: Any, request_: Any, message: str) -> None:
    with pytest.raises(RequestRefused, match="(?s)" + message) as caught:
        generate_all(engine_of(), [request_()])
    assert str(caught.value)
