"""`dizuo prepare --check` over every small file of the shared cases: what a person sees, reviewed as a diff.

`check_cases.txt` beside this file holds it; `DIZUO_WRITE=1` writes it anew. Each file says its format, its rows, and
what was not read; a refused row stands with its corrected line where there is one.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dizuo.cli import dizuo

SEEN = Path(__file__).with_name("check_cases.txt")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def cases(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of small files, as the working folder."""
    shared = os.environ.get("DIZUO_SHARED_DATA")
    for folder in (
        Path(shared).parent / "cases" / "data" if shared else None,
        ROOT.parent / "shared" / "cases" / "data",
    ):
        if folder is not None and folder.is_dir():
            monkeypatch.chdir(folder)
            monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
            monkeypatch.setenv("COLUMNS", "1000")
            return folder
    pytest.skip("the shared cases are not on this machine (set DIZUO_SHARED_DATA to the data folder beside them)")


def check(name: str) -> str:
    result = CliRunner().invoke(dizuo, ["prepare", name, "--check"], prog_name="dizuo")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    text = re.sub(r"prepare: [\d.]+ s  ", "prepare: ", result.output).split("\nexamples\n")[0]
    return f"==== {name} (exit {result.exit_code})\n{text.strip()}\n\n"


def test_what_prepare_says_of_every_case(cases: Path) -> None:
    names = sorted(entry.name for entry in cases.iterdir())
    assert len(names) > 50
    said = {name: check(name) for name in names}
    found = "".join(said.values())
    if os.environ.get("DIZUO_WRITE"):
        SEEN.write_text(found, "utf-8")
    diff = difflib.unified_diff(SEEN.read_text("utf-8").splitlines(), found.splitlines(), lineterm="", n=1)
    assert not list(diff)
    for name, text in said.items():
        assert "Traceback" not in text
        assert "rows" in text, f"{name} says nothing of its rows"
        assert "format" in text or "look" in text, name
        assert "(exit 0)" in text or "hint: " in text, name
