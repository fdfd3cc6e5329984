"""Faults to plant: models, templates, hooks, data and methods that train wrongly, through the seams that users have."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from training_samples import CHATML, write_model

from dizuo import models, plugins
from dizuo.models import Model

NO_END = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% if not loop.last %}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Ends every turn but the last: what is answered last is never ended."""
TWO_STARTS = "{{ bos_token }}" + CHATML

METHODS = {
    "mean_of_means": """
        '''A planted fault: each block's mean, and the mean of those.'''
        from dataclasses import replace
        from dizuo.training.method import Loss
        from dizuo.training.methods import sft
        def loss(outputs, batch, options):
            return Loss(-(outputs.weights * outputs.logprobs).sum() / outputs.weights.sum(), 1.0)
        METHOD = replace(sft.METHOD, loss=loss)
        """,
    "per_sequence": """
        '''A planted fault that no block size shows: each sequence's mean, divided by the number of tokens.'''
        from dataclasses import replace
        import torch
        from dizuo.training.method import Loss
        from dizuo.training.methods import sft
        def loss(outputs, batch, options):
            counts = torch.bincount(outputs.sequence, minlength=outputs.num_sequences)
            own = outputs.logprobs / counts[outputs.sequence]
            return Loss(-own.sum(), batch.sequences.total_weight)
        METHOD = replace(sft.METHOD, loss=loss)
        """,
    "no_end": """
        '''A planted fault: the last token of every answer is not trained.'''
        from dataclasses import replace
        from dizuo.training.methods import sft
        def sequences(example, task, tokenizer, options):
            out = []
            for one in sft.sequences(example, task, tokenizer, options):
                weights = one.weights.copy()
                weights[-1] = 0
                out.append(replace(one, weights=weights))
            return out
        METHOD = replace(sft.METHOD, sequences=sequences)
        """,
    "masked": """
        '''A planted fault: every third row is masked as a whole.'''
        from dataclasses import replace
        from dizuo.training.methods import sft
        def sequences(example, task, tokenizer, options):
            lost = example.origin.line % 3 == 0
            return [replace(one, weights=one.weights * (not lost))
                    for one in sft.sequences(example, task, tokenizer, options)]
        METHOD = replace(sft.METHOD, sequences=sequences)
        """,
    "nan_weight": """
        '''A planted fault: a token's weight is NaN in one row.'''
        from dataclasses import replace
        from dizuo.training.methods import sft
        def sequences(example, task, tokenizer, options):
            factor = float("nan") if example.origin.line == 5 else 1.0
            return [replace(one, weights=one.weights * factor)
                    for one in sft.sequences(example, task, tokenizer, options)]
        METHOD = replace(sft.METHOD, sequences=sequences)
        """,
    "hides_nan": """
        '''A planted fault: a loss that is no number is called zero.'''
        from dataclasses import replace
        from dizuo.training.method import Loss
        from dizuo.training.methods import sft
        def loss(outputs, batch, options):
            logprobs = outputs.logprobs.nan_to_num(0.0, 0.0, 0.0)
            return Loss(-(outputs.weights * logprobs).sum(), batch.sequences.total_weight)
        METHOD = replace(sft.METHOD, loss=loss)
        """,
    "other_prompt": """
        '''A planted fault: what is trained is asked in another form than what is served.'''
        from dizuo.data import chat_for
        from dizuo.data.rendering import conversations
        from dataclasses import replace
        from dizuo.training.methods import sft
        def sequences(example, task, tokenizer, options):
            chat = chat_for(example, task)
            shouted = [type(m)(m.role, m.content.upper()) for m in chat.messages[:-1]]
            return [conversations.render_completion(tokenizer, shouted, chat.messages[-1].content)]
        METHOD = replace(sft.METHOD, sequences=sequences)
        """,
    "trains_prompts": """
        '''A planted fault: the first tokens of the prompt are trained too.'''
        from dataclasses import replace
        from dizuo.training.methods import sft
        def sequences(example, task, tokenizer, options):
            out = []
            for one in sft.sequences(example, task, tokenizer, options):
                weights = one.weights.copy()
                weights[1:4] = 1
                out.append(replace(one, weights=weights))
            return out
        METHOD = replace(sft.METHOD, sequences=sequences)
        """,
    "forgetful": """
        '''A planted fault: the loss depends on how often it was called in this process.'''
        from dataclasses import replace
        import itertools
        from dizuo.training.method import Loss
        from dizuo.training.methods import sft
        calls = itertools.count(1)
        def loss(outputs, batch, options):
            scale = 1 + 1e-3 * next(calls)
            return Loss(-scale * (outputs.weights * outputs.logprobs).sum(), batch.sequences.total_weight)
        METHOD = replace(sft.METHOD, loss=loss)
        """,
}


@pytest.fixture
def planted_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install every method of `METHODS` as third parties do: a distribution with entry points."""
    home = tmp_path / "site"
    facts = home / "planted_methods-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: planted-methods\nVersion: 1.0\n")
    points = [f"{name} = planted_{name}" for name in METHODS]
    (facts / "entry_points.txt").write_text("\n".join(["[dizuo.training.methods]", *points, ""]))
    for name, source in METHODS.items():
        (home / f"planted_{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(home)
    plugins._entry_points.cache_clear()  # this process has looked before the distribution was installed
    yield
    plugins._entry_points.cache_clear()


def model_with(folder: Path, *, template: str | None = None, adds_bos: bool = False, **changes: Any) -> Model:
    """Write and load a tiny model with another chat template, or a tokenizer that adds BOS by itself."""
    write_model(folder, scale=1, **changes)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    if adds_bos:
        value = json.loads((folder / "tokenizer.json").read_text("utf-8"))
        token = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
        value["post_processor"] = {
            "type": "TemplateProcessing",
            "single": [token, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [token, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}},
        }
        (folder / "tokenizer.json").write_text(json.dumps(value))
    return models.load(models.inspect(folder))


def leak(module: torch.nn.Module, *, above: int = 0) -> None:
    """Make a decoder layer add a little of everybody's mean to every token, in batches of more than so many tokens."""

    def hook(layer: Any, inputs: Any, output: Any) -> Any:
        states = output[0] if isinstance(output, tuple) else output
        if states.shape[0] * states.shape[1] <= above:
            return output
        mixed = states + 0.05 * states.mean((0, 1), keepdim=True)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    layer = next(part for name, part in module.named_modules() if name.endswith(("layers.0", "h.0")))
    layer.register_forward_hook(hook)
