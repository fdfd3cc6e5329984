"""Engines over tiny random models, closed with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_models import CONTEXT, tiny

from dizuo.engines import EngineOptions
from dizuo.engines.kinds.embedded.engine import Embedded


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def engine_of() -> Iterator[Callable[..., Embedded]]:
    """Return a maker of engines over tiny models; they are closed with the test."""
    made: list[Embedded] = []

    def make(module: Any = "llama", **options: Any) -> Embedded:
        module = tiny(module) if isinstance(module, str) else module
        engine = Embedded(module, context_length=CONTEXT, options=EngineOptions(**options))
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()


@pytest.fixture
def adapter_of(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer of random LoRA adapters for the tiny Llama."""

    def write(name: str, seed: int, *, kind: str = "llama") -> Path:
        from peft import LoraConfig, get_peft_model

        module = get_peft_model(
            tiny(kind), LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", fan_in_fan_out=kind == "gpt2")
        )
        generator = torch.Generator().manual_seed(seed)
        for parameter_name, parameter in module.named_parameters():
            if "lora_B" in parameter_name:
                parameter.data.normal_(0, 0.3, generator=generator)
        module.save_pretrained(str(tmp_path / name))
        return tmp_path / name

    return write
