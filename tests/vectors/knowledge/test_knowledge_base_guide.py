"""The guide's Python runs as it stands, on the real model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "knowledge-base.md"


@pytest.mark.slow
def test_the_guides_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    pytest.importorskip("lancedb")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "handbook").mkdir()
    text = "# Leave\n\nThirty days of leave are given every year."
    (tmp_path / "handbook" / "leave.md").write_text(text + "\n")
    (tmp_path / "handbook" / "food.txt").write_text("The canteen opens at noon.")
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        exec(compile(code, str(GUIDE), "exec"), names)
    printed = capsys.readouterr().out
    assert f"leave.md, Leave, characters 0–{len(text)}" in printed
    assert names["changed"].swapped
    assert names["report"].recall.estimate == 1.0
    names["kb"].close()
