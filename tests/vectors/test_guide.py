"""The guide's Python runs, in its order, and does what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lancedb")

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "vectors.md"


def test_the_guides_python_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "guide"}
    parts = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert len(parts) >= 6
    for part in parts:
        exec(compile(part, str(GUIDE), "exec"), names)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "doc-1 0.994 zh 数据库检索"
    assert printed[1] == "doc-1 {'dense': 1, 'lexical': 1}"
    assert printed[-1] == "2 {'': 2, 'team-a': 1}"
