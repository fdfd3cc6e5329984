"""The README of a bundle says what the model is, where its measured scores stand, and how to ask it."""

from __future__ import annotations

import json

from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.task import Task
from dizuo.models import ModelSpec
from dizuo.records import Json
from dizuo.serving.bundle.generation import GenerationDefaults

__all__ = ["example_request", "model_card"]

_KINDS = {
    "adapter": "A LoRA adapter on",
    "model": "A full fine-tune of",
    "base": "The unchanged weights of",
}


def example_request(name: str, task: Task | None) -> dict[str, Json]:
    """Return a chat request that asks the model as it was trained."""
    text = "Text to classify" if task is not None and task.labels else "Hello!"
    messages = [{"role": "user", "content": text}]
    if task is not None and task.kind in {"classification", "generation"}:
        messages = [{"role": m.role, "content": m.content} for m in prompt_messages(text, task)]
    return {"model": name, "messages": messages}


def model_card(name: str, spec: ModelSpec, task: Task | None, *, kind: str, generation: GenerationDefaults) -> str:
    """Return the README in Markdown; `kind` is adapter, model or base."""
    request = json.dumps(example_request(name, task), ensure_ascii=False, indent=2)
    quoted = request.replace("'", "'\\''")
    parts = [
        f"# {name}",
        f"{_KINDS[kind]} `{spec.id}` ({spec.parameters:,} parameters, {spec.architecture}).",
        f"- Base model: `{spec.source}`, {spec.digest}\n"
        f"- Licence of the base model: {spec.licence or 'not stated by its source'} (see `LICENSES/`)\n"
        f"- Context: {spec.context_length:,} tokens\n"
        f"- Sampling unless a request says otherwise: temperature {generation.temperature}, "
        f"at most {generation.max_tokens} new tokens",
    ]
    if task is not None:
        lines = [f"## Task\n\nKind: {task.kind}."]
        if task.instruction:
            lines.append("The instruction it was trained with:\n\n" + _block(task.instruction, "text"))
        if task.labels:
            lines.append("Labels: " + ", ".join(f"`{label}`" for label in task.labels) + ".")
        parts.append("\n\n".join(lines))
    parts.append(
        "## Use\n\n"
        + _block(f"dizuo serve {name}\ndizuo chat {name}", "console")
        + "\n\nChat takes messages as they are, so the full message is written here:\n\n"
        + _block(
            "curl http://127.0.0.1:8000/v1/chat/completions \\\n"
            f"  -H 'Content-Type: application/json' \\\n  -d '{quoted}'",
            "console",
        )
    )
    if task is not None and task.labels:
        body = json.dumps({"model": name, "input": "Text to classify"})
        parts.append(
            "`/v1/classify` puts the instruction in by itself and returns the label with probabilities:\n\n"
            + _block(
                f"curl http://127.0.0.1:8000/v1/classify -H 'Content-Type: application/json' -d '{body}'", "console"
            )
        )
    if kind == "adapter":
        parts.append(
            "## Use with PEFT\n\n"
            "`adapter/adapter_config.json` names the base model as PEFT finds it: by its name on the hub, or by the "
            "folder on the machine that trained it. There this is enough:\n\n"
            + _block(
                "from peft import AutoPeftModelForCausalLM\n"
                'model = AutoPeftModelForCausalLM.from_pretrained("adapter")',
                "python",
            )
            + f"\n\nElsewhere pass the base model, whose folder `dizuo select {spec.source} --json` prints:\n\n"
            + _block(
                "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n"
                'model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained("FOLDER"), "adapter")',
                "python",
            )
        )
    parts.append("Scores, with intervals and what was compared: `report.json`. Data: `data_card.json`.")
    return "\n\n".join(parts) + "\n"


def _block(text: str, language: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
