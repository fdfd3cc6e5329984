"""A tiny random model, and data sets in which a signal is planted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from evaluation_samples import random_adapter, write_data, write_encoder, write_model

from dizuo import models
from dizuo.data import Dataset


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A random Llama with a byte-level tokenizer."""
    return models.inspect(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="session")
def adapter(spec: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random LoRA adapter for it, where a run would leave it, with the run's metrics beside it."""
    return random_adapter(spec, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def news(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Labelled rows whose words give the label away: 120 to train on, 40 to test on."""
    return write_data(tmp_path_factory.mktemp("news"))


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random encoder of texts."""
    return write_encoder(tmp_path_factory.mktemp("encoder"))
