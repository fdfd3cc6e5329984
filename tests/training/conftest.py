"""Fixtures of the training tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from training_samples import Rows, write_model

from dizuo import models
from dizuo.data import Dataset
from dizuo.models import ModelSpec
from dizuo.testing.method_results import pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny models run faster on one thread, and other tests may be running."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory) -> ModelSpec:
    """A random Llama with tied embeddings."""
    return models.inspect(write_model(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """40 training and 9 validation rows."""
    return Rows().write(tmp_path_factory.mktemp("data"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty place for a run."""
    return tmp_path / "run"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PEFT 0.21 reads a property that transformers 5.23 renamed."""
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"))
