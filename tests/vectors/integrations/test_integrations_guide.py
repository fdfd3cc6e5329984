"""The guide's Python runs, in its order, and prints what it is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

for package in ("lancedb", "langchain_core", "llama_index.core", "haystack"):
    pytest.importorskip(package)

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "langchain-llamaindex-haystack.md"


def test_the_guides_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    parts = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(parts) == 3
    for part in parts:
        exec(compile(part, str(GUIDE), "exec"), names)
    assert capsys.readouterr().out.splitlines() == [
        "['Thirty days of leave a year']",
        "2",
        "每年三十天假期",
        "三十天假期",
        "Thirty days of leave",
        "Thirty days of leave 3",
    ]
