"""A model whose template writes something before an answer is served as it was scored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dizuo
from dizuo import recipe
from dizuo.evaluation import unmet

QWEN3 = (
    "{% set ns = namespace(last=0) %}{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' "
    "and loop.index0 > ns.last %}<think>\n{{ m.reasoning_content or '' }}\n</think>\n\n{% endif %}{{ m.content }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
R1 = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.split('</think>')[-1] if m.role == 'assistant' else m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
TEMPLATES = {"qwen3": QWEN3, "r1": R1}


@pytest.fixture(params=TEMPLATES)
def template(request: pytest.FixtureRequest, place: Path) -> str:
    """The name of the template that the model of the place has now."""
    (place / "model" / "chat_template.jinja").write_text(TEMPLATES[request.param], "utf-8")
    return str(request.param)


@pytest.mark.slow
def test_a_class_is_served_as_it_was_scored(place: Path, template: str) -> None:
    wanted = ("train.epochs=12", "evaluate.served_items=40", "evaluate.embedder=none", "evaluate.samples=0")
    outcome = dizuo.run(recipe.read("tiny.yaml", overrides=wanted, strict=False))
    assert outcome.report is not None
    scored, served = outcome.report.row("tuned"), outcome.report.row("served")
    assert scored is not None
    assert served is not None
    assert scored.score >= 0.5  # it writes labels at least; a thought before them, or a cut one, would be no label
    assert served.score == scored.score
    assert "no label" not in served.note
    assert unmet(outcome.report, better_than_untuned=False) == ()
    assert outcome.release is not None


def test_thoughts_are_asked_for_where_they_were_learnt_and_are_no_part_of_the_answer(
    place: Path, template: str
) -> None:
    rows = [
        {"messages": [
            {"role": "user", "content": f"the number {i}"},
            {"role": "assistant", "reasoning_content": "is it?", "content": "fruit" if i % 2 else "metal"},
        ]}
        for i in range(40)
    ]  # fmt: skip
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    tiny = (place / "tiny.yaml").read_text("utf-8").replace('  instruction: "fruit or metal?"\n', "")
    (place / "tiny.yaml").write_text(tiny.replace("rows.csv", "rows.jsonl").replace("test: 40", "test: 8"), "utf-8")
    wanted = ("train.epochs=20", "evaluate.embedder=none", "evaluate.max_tokens=24", "evaluate.samples=2")
    outcome = dizuo.run(recipe.read("tiny.yaml", overrides=wanted, strict=False), until="evaluate")
    assert outcome.data is not None
    assert outcome.report is not None
    assert outcome.data.task.thinking  # type: ignore[union-attr]
    said = {sample.answers["tuned"] for sample in outcome.report.samples}
    assert said <= {"fruit", "metal"}
