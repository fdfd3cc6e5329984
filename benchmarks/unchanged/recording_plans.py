"""Plans: every value that a recipe would be trained with, where it comes from and why; nothing is trained."""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
from commands import answer

__all__ = ["things"]

_HEAD = f'select: {{model: "{samples.MODEL}"}}'
_QUESTIONS = "source: rows/questions.csv, text_column: text, label_column: category"
_PAIRS = "source: rows/pairs.jsonl, test: 0"
_SFT = {
    "full": "adapter: full",
    "dora, rank given": "adapter: dora, rank: 8, targets: [q_proj, o_proj], alpha: 4",
    "rslora, dropout": "adapter: rslora, dropout: 0.05, epochs: 2.5, batch_size: 3",
    "schedule": "schedule: linear, warmup_ratio: 0.2, weight_decay: 0.1, learning_rate: 0.0003, max_steps: 7",
    "cut": "max_length: 64, over_length: cut_prompt",
    "patience": "patience: 2, eval_every: 3, checkpoint_every: 2, keep: last",
    "activations": "checkpoint_activations: true, offload_activations: true, dtype: bfloat16",
    "int8": "quantize: int8",
}
_METHODS = {
    "sft": (_QUESTIONS, "method: sft, prompt_weight: 0.1"),
    "classification": (_QUESTIONS, "method: classification"),
    "regression": ('source: rows/sums.csv, test: 0, instruction: "What is the answer?"', "method: regression"),
    "pretrain": ("source: rows/plays.txt, test: 0", "method: pretrain"),
    "dpo": (_PAIRS, "method: dpo"),
    "dpo full": (_PAIRS, "method: dpo, adapter: full, loss: ipo"),
    "simpo": (_PAIRS, "method: simpo"),
    "reward": (_PAIRS, "method: reward"),
    "kto": ("source: rows/feedback.jsonl, test: 0", "method: kto"),
}


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    shutil.rmtree("plans", ignore_errors=True)
    Path("plans").mkdir()  # a folder without runs, whose plans would be shown instead
    os.chdir("plans")
    samples.write(Path(), given.data)
    every = given.data.absolute() / "banking77" / "train.csv"
    plans = dict(_METHODS)
    plans |= {f"sft, {name}": (f"{_QUESTIONS}, validation: 8", train) for name, train in _SFT.items()}
    plans["sft, 2,000 rows"] = (f"source: {every}, rows: 2000, validation: 0.05", "seed: 5")
    plans["classification, 1,000 rows"] = (f"source: {every}, rows: 1000", "method: classification")
    if importlib.util.find_spec("bitsandbytes"):
        plans["sft, nf4"] = (_QUESTIONS, "quantize: nf4")
    for name, (prepare, train) in plans.items():
        yield name, lambda prepare=prepare, train=train: planned(prepare, train)
    yield "on the command line", lambda: answer("plan", "recipes/questions.yaml", "--no-measure")
    yield "on the command line, JSON", lambda: answer("plan", "recipes/papers.yaml", "--no-measure", "--json")


def planned(prepare: str, train: str) -> dict[str, Any]:
    """Return all that a plan says."""
    import dizuo

    recipe = Path("planned.yaml")
    recipe.write_text(f"name: planned\nseed: 2\n{_HEAD}\nprepare: {{{prepare}}}\ntrain: {{{train}}}\n", "utf-8")
    found = dizuo.plan(recipe, measure=False)
    steps = {
        step.name: [step.why, {one.name: [one.value, one.origin, one.why] for one in step.settings}]
        for step in found.steps
    }
    training = found.training.to_json()  # the same on both sides, whatever a plan looks like in Python
    training.pop("launch", None)  # had no reader
    return {
        "name, seed, rows": [found.name, found.seed, dict(found.rows)],
        "steps": steps,
        "values": {name: [one["value"], one["origin"], one["why"]] for name, one in training["values"].items()},
        "method options": training["method_options"],
        **{name: training[name] for name in ("inputs", "request", "counts", "estimates", "notes", "digest")},
    }
