"""A tiny model, rows and a recipe in a folder of one's own, and an index that is a folder of wheels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from steps_samples import RECIPE, write_model, write_rows


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


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is the only index pip knows."""
    folder = tmp_path / "shop"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder
