"""The Makefile notices a project folder that was moved: programs in .venv have its path in them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["project", "a project"])
def test_a_moved_environment_is_made_anew_and_one_in_its_place_is_kept(tmp_path: Path, name: str) -> None:
    def make(folder: Path) -> str:
        return subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True, check=True).stderr

    first = tmp_path / name
    (first / ".venv").mkdir(parents=True)
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, first / file)
    made = f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {first.resolve() / '.venv'}\n"
    (first / ".venv" / "pyvenv.cfg").write_text(made)
    assert "another folder" not in make(first)
    assert (first / ".venv" / "pyvenv.cfg").is_file()
    linked = tmp_path / "worktree"
    linked.mkdir()
    for file in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / file, linked / file)
    (linked / ".venv").symlink_to(first / ".venv")
    assert "another folder" not in make(linked)
    first.rename(tmp_path / "moved")
    assert f"was made in another folder ({first.resolve() / '.venv'}); making it anew" in make(tmp_path / "moved")
    assert not (tmp_path / "moved" / ".venv").exists()
    assert "another folder" not in make(tmp_path / "moved")


def test_the_readmes_install_line_is_what_make_installs() -> None:
    line = 'pip install -e ".[train,vectors,documents,lancedb]"'
    for name in ("README.md", "README.zh-CN.md"):
        assert f"$ {line}\n" in (ROOT / name).read_text("utf-8")
    assert "-e " + line.partition("-e ")[2] in (ROOT / "Makefile").read_text("utf-8")
