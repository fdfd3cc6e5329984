"""As soon as there are rows and a model, what the one cannot write of the other is said: in prepare, plan and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from case_models import QWEN3
from click.testing import CliRunner
from steps_samples import TEMPLATE, write_model

import dizuo
from dizuo import models
from dizuo import recipe as recipes
from dizuo.cli import dizuo as shell
from dizuo.errors import DizuoError
from dizuo.events import Event, Warned
from dizuo.steps.planning import plan

TOOL = {"type": "function", "function": {"name": "lamp", "description": "a lamp"}}
OBS = [
    {
        "messages": [
            {"role": "user", "content": f"<obs> door {i} <act>?"},
            {"role": "assistant", "content": "<act> open"},
        ]
    }
    for i in range(24)
]
TOOLS = [
    {"messages": [{"role": "user", "content": f"light {i}"}, {"role": "assistant", "content": "on"}], "tools": [TOOL]}
    for i in range(24)
]
BOS = [{"text": f"<|im_start|>user\nlamp {i}?<|im_end|>\n<|im_start|>assistant\nyes<|im_end|>"} for i in range(24)]
RECIPE = "name: rows\nselect: {model: model}\nprepare: {source: rows.jsonl, test: 4}\n"


@pytest.fixture
def lay_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what writes rows, a model and a recipe into a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))

    def make(rows: list[Any], **model: Any) -> Path:
        adds_bos = model.pop("adds_bos", False)
        write_model(tmp_path / "model", **model)
        if adds_bos:
            path = tmp_path / "model" / "tokenizer.json"
            facts = json.loads(path.read_text("utf-8"))
            token = {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
            one, other = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
            facts["post_processor"] = {
                "type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, one],
                "pair": [one, other],
                "special_tokens": {"<|im_start|>": token},
            }
            path.write_text(json.dumps(facts), "utf-8")
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        (tmp_path / "rows.yaml").write_text(RECIPE, "utf-8")
        return tmp_path

    return make


def read(*overrides: str) -> Any:
    return recipes.read("rows.yaml", overrides=overrides, strict=False)


STEPS: dict[str, Callable[[], object]] = {
    "prepare": lambda: dizuo.run(read(), until="prepare"),
    "plan": lambda: plan(read(), measure=False),
    "run": lambda: dizuo.run(read()),
    "train alone": lambda: dizuo.train(dizuo.select("model"), dizuo.prepare("rows.jsonl", test=4), max_steps=1),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_token_without_an_embedding_is_refused_before_training(step: str, lay_out: Callable[..., Path]) -> None:
    place = lay_out(OBS, added=("<obs>", "<act>"))
    with pytest.raises(DizuoError) as caught:
        STEPS[step]()
    rows = models.inspect("model").vocab_size
    said = "\n".join([caught.value.message, *caught.value.details])
    assert f"the token '<obs>' has the id {rows:,}, but the embedding of model has {rows:,} rows" in said
    assert f"its tokenizer, with {rows + 2:,} tokens, is longer" in said
    assert "rows.jsonl:" in said
    assert "resize_token_embeddings" in str(caught.value.hint)
    assert not (place / "runs" / "rows" / "3-train").exists()


@pytest.mark.parametrize("step", STEPS)
def test_tools_that_the_template_does_not_write_are_refused_before_training(
    step: str, lay_out: Callable[..., Path]
) -> None:
    lay_out(TOOLS)
    with pytest.raises(DizuoError) as caught:
        STEPS[step]()
    said = "\n".join([caught.value.message, *caught.value.details])
    assert "the chat template of model leaves out tools" in said
    assert "rows.jsonl:" in said
    assert ("ignore=['tools']" if step == "train alone" else "ignore: [tools]") in str(caught.value.hint)


def test_left_out_on_purpose_they_train(lay_out: Callable[..., Path]) -> None:
    lay_out(TOOLS)
    planned = plan(read("prepare.ignore=[tools]"), measure=False)
    assert [piece.text for piece in planned.examples[0] if piece.weight] == ["on<|im_end|>"]


def test_a_template_that_writes_them_is_used_and_the_model_is_asked_with_them(lay_out: Callable[..., Path]) -> None:
    lay_out(TOOLS, template=QWEN3, context=512)
    planned = plan(read(), measure=False)
    assert '"name": "lamp"' in planned.examples[0][0].text


def test_only_test_rows_with_a_key_that_is_lost_are_found_before_training(lay_out: Callable[..., Path]) -> None:
    place = lay_out([{"messages": row["messages"]} for row in TOOLS])
    (place / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TOOLS[:3]), "utf-8")
    recipe = RECIPE.replace("source: rows.jsonl, test: 4", "train: rows.jsonl, test: test.jsonl")
    (place / "rows.yaml").write_text(recipe, "utf-8")
    with pytest.raises(DizuoError, match="3 of 3 test rows that were looked at cannot be shown to model"):
        plan(read(), measure=False)


@pytest.mark.parametrize("step", ["prepare", "plan"])
@pytest.mark.parametrize("adds", [True, False])
def test_texts_that_bring_their_bos_along_are_named(step: str, adds: bool, lay_out: Callable[..., Path]) -> None:
    lay_out(BOS, adds_bos=adds)
    told: list[Event] = []
    if step == "prepare":
        dizuo.run(read(), until="prepare", watch=told.append)
    else:
        planned = plan(read(), until="train", measure=False, watch=told.append)
        text = "".join(piece.text for piece in planned.examples[0])
        assert text.startswith("<|im_start|>user")
    said = [event.text for event in told if isinstance(event, Warned) and "BOS" in event.text]
    assert bool(said) == adds
    assert not adds or "20 of 20 texts begin with the BOS token '<|im_start|>'" in said[0]


@pytest.mark.parametrize("step", ["prepare", "plan", "train"])
@pytest.mark.parametrize("adds", [True, False])
def test_two_bos_are_refused(step: str, adds: bool, lay_out: Callable[..., Path]) -> None:
    lay_out([{"text": "<|im_start|>" + row["text"]} for row in BOS], adds_bos=adds)
    with pytest.raises(DizuoError) as caught:
        plan(read(), until="train", measure=False) if step == "plan" else dizuo.run(read(), until=step)
    assert "the text opens with the BOS token '<|im_start|>' twice" in "\n".join(caught.value.details)


@pytest.mark.parametrize("adds", [True, False])
def test_a_template_with_two_bos_is_refused_by_plan(adds: bool, lay_out: Callable[..., Path]) -> None:
    lay_out([{"messages": row["messages"]} for row in TOOLS], adds_bos=adds, template="{{ bos_token }}" + TEMPLATE)
    with pytest.raises(DizuoError) as caught:
        plan(read(), measure=False)
    assert "opens with the BOS token '<|im_start|>' twice" in "\n".join(caught.value.details)


def test_texts_that_begin_with_a_known_bos_are_named_without_a_model(lay_out: Callable[..., Path]) -> None:
    place = lay_out([{"text": f"<s>lamp {i}"} for i in range(24)])
    told: list[Event] = []
    dizuo.prepare("rows.jsonl", out=place / "data", watch=told.append)
    assert any(isinstance(event, Warned) and "24 of 24 texts begin with '<s>'" in event.text for event in told)


def test_a_model_that_is_not_here_is_not_fetched_to_prepare(lay_out: Callable[..., Path]) -> None:
    lay_out(TOOLS)
    result = CliRunner().invoke(shell, ["prepare", "rows.yaml", "--set", "select.model=pypi:no-such-model"])
    assert result.exit_code == 0, result.output
    assert "rows are not checked against pypi:no-such-model, which is not on this machine yet" in result.output
    result = CliRunner().invoke(shell, ["prepare", "rows.yaml", "--check"])
    assert result.exit_code == 1
    assert "leaves out tools" in result.output


def test_a_plan_shows_what_is_trained(lay_out: Callable[..., Path]) -> None:
    lay_out([{"messages": row["messages"]} for row in TOOLS])
    result = CliRunner().invoke(shell, ["plan", "rows.yaml", "--no-measure"])
    assert result.exit_code == 0, result.output
    shown = result.stdout.partition("what is trained of the first rows")[2]
    assert "⟦on<|im_end|>⟧" in shown
    assert "assistant" in shown.partition("⟦")[0]
    as_json = CliRunner().invoke(shell, ["plan", "rows.yaml", "--no-measure", "--json"])
    examples = json.loads(as_json.stdout.splitlines()[-1])["examples"]
    assert [piece["text"] for piece in examples[0] if piece["weight"]] == ["on<|im_end|>"]
