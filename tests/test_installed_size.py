"""`pip install "dizuo[vectors]"` brings no torch and stays below 400 MB, and a knowledge base works there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST = 400_000_000
"""Bytes of the whole virtual environment, pip included."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_vectors_alone_are_small_and_work(tmp_path: Path) -> None:
    home = tmp_path / "venv"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def call(*command: str | Path) -> str:
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    call(sys.executable, "-m", "venv", home)
    pip = (home / "bin" / "python", "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt")
    call(*pip, f"{ROOT}[vectors]")
    size = sum(file.lstat().st_size for file in home.rglob("*"))
    print(f"{size / 1e6:.0f} MB")
    assert size < MOST
    assert not list(home.rglob("site-packages/torch"))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("员工每年享有十五天带薪年假。")
    dizuo = home / "bin" / "dizuo"
    assert "1 added" in call(dizuo, "vectors", "sync", "docs", "kb")
    assert "a.md, characters 0–14" in call(dizuo, "vectors", "search", "kb", "我可以休几天假？")
