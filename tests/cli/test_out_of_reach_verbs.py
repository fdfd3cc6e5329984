"""Whichever verb asks for what is out of reach, it is one error within seconds and never a fault of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from steps_samples import RECIPE, write_rows
from test_out_of_reach import PROXIES, SOURCES, point_at
from unreachable_servers import closed

import dizuo as api
from dizuo.cli import dizuo
from dizuo.errors import ArtifactError
from dizuo.vectors.embedders import open_embedder

VERBS = {
    "select": ("select", "ADDRESS"),
    "run": ("run", "tiny.yaml", "--set", "select.model=ADDRESS"),
    "run with its model by a flag": ("run", "tiny.yaml", "--model", "ADDRESS"),
    "plan": ("plan", "tiny.yaml", "--model", "ADDRESS"),
    "doctor": ("doctor", "tiny.yaml", "--model", "ADDRESS"),
    "pack": ("pack", "tiny.yaml", "--model", "ADDRESS", "--no-wheels", "--yes"),
    "vectors sync": ("vectors", "sync", "docs", "memory://", "--embedder", "ADDRESS"),
}


@pytest.fixture(params=SOURCES)
def address(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "modelscope":
        pytest.importorskip("modelscope", reason="its client is not installed")
    for name in (*PROXIES, *(name.lower() for name in PROXIES), "PIP_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    point_at(request.param, closed(), monkeypatch, tmp_path)
    write_rows(tmp_path / "rows.csv")
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("# A\n\nwords\n")
    monkeypatch.chdir(tmp_path)
    return SOURCES[request.param]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_says_what_cannot_be_reached(verb: str, address: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(dizuo, [part.replace("ADDRESS", address) for part in VERBS[verb]])
    assert result.exit_code == 1, result.output
    assert "cannot be reached" in result.stderr
    assert "the connection is refused" in result.stderr
    assert result.stderr.count("hint: ") == 1
    assert "a fault in dizuo" not in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_the_python_calls_raise_the_same_error(address: str) -> None:
    for call in (api.select, open_embedder):
        with pytest.raises(ArtifactError, match=r"cannot be (reached|fetched)"):
            call(address)
