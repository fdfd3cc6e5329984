"""Preference pairs, judged answers and texts for training tests; every row has a place in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dizuo import models
from dizuo.data import Dataset
from dizuo.models import ModelSpec
from dizuo.records import Example
from dizuo.testing.training.samples import Rows, feedback, preferences, texts
from dizuo.training import TrainOptions, plan
from dizuo.training.building.build import build_network
from dizuo.training.methods import METHODS
from dizuo.training.stepping.stepper import Stepper
from dizuo.training.tokens.tokenizing import Faults, Rules, TokenStore, tokenize
from dizuo.trees import Runner


def rows_for(method: str, count: int, *, start: int = 0) -> list[Example]:
    """Return rows that a method takes."""
    if method == "pretrain":
        return texts([1 + (n * 7) % 60 for n in range(start, start + count)])
    return feedback(count, start=start) if method == "kto" else preferences(count, start=start)


def data_for(method: str, folder: Path, *, train: int = 24, validation: int = 7) -> Dataset:
    """Write a data set that a method takes."""
    rows = rows_for(method, train + validation)
    return Rows(train=rows[:train], validation=rows[train:], task=None).write(folder)


def store_of(
    spec: ModelSpec, rows: list[Example], folder: Path, *, method: str, max_length: int = 256, **options: Any
) -> TokenStore:
    """Tokenize rows that have no faults."""
    found = METHODS.load(method)
    faults = Faults()
    over = options.pop("over_length", "refuse")
    split = Rows(train=rows, validation=[], task=None).write(folder / "data").train
    rules = Rules(found, found.Options(**options), method, None, models.load_tokenizer(spec), max_length, over)
    store = tokenize(split, folder / "tokens", rules=rules, faults=faults)
    assert not faults.lines()
    return store


def stepper_of(
    spec: ModelSpec,
    folder: Path,
    *,
    method: str,
    budget: int = 1 << 20,
    layout: str = "tree",
    moved: float = 0.05,
    model: Any = None,
    adapter: str = "lora",
    **options: Any,
) -> Stepper:
    """Return what trains a method, its adapters moved away from zero where asked; `network.release()` when done."""
    any_data = Rows().write(folder / "any")
    made = plan(spec, any_data, out=folder / "run", options=TrainOptions(max_steps=1, adapter=adapter), measure=False)  # type: ignore[arg-type]
    network = build_network(made, model or models.load(spec))
    if moved:
        move(network, moved)
    found = METHODS.load(method)
    return Stepper(
        network,
        Runner(network.module, layout=layout),  # type: ignore[arg-type]
        method=found,
        method_options=found.Options(**options),
        budget=budget,
        max_grad_norm=1.0,
        weight_decay=0.0,
    )


def move(network: Any, size: float, *, seed: int = 5) -> None:
    """Add noise to everything that is trained."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * size)
