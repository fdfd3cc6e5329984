"""Fixtures of the tests of steps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from steps_samples import RECIPE, write_model, write_rows


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny models run faster on one thread, and other tests may be running."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, rows and a recipe."""
    folder = tmp_path_factory.mktemp("made")
    write_model(folder / "model")
    write_rows(folder / "rows.csv")
    (folder / "tiny.yaml").write_text(RECIPE)
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of one's own with all of that, and a home of one's own."""
    work = tmp_path / "work"
    shutil.copytree(made, work)
    monkeypatch.chdir(work)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    return work
