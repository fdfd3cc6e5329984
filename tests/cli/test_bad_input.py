"""Every fault of `bad_input.toml` through the command line: exact message, exit status, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dizuo.cli import dizuo
from dizuo.training.methods import METHODS


@dataclass(frozen=True, slots=True)
class Case:
    """One fault."""

    fault: str
    arguments: str
    status: int
    message: str
    files: dict[str, Any] = field(default_factory=dict)


TABLE = Path(__file__).with_name("bad_input.toml").read_text("utf-8")
CASES = [Case(**case) for case in tomllib.loads(TABLE.replace("{methods}", ", ".join(METHODS.names())))["case"]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and an empty home."""
    work = tmp_path.resolve() / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("DIZUO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DIZUO_API_KEYS", raising=False)
    return work


def write(case: Case) -> None:
    for name, content in case.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else bytes.fromhex(content["hex"]))


def test_the_table_is_long_enough_and_its_faults_differ() -> None:
    assert len(CASES) >= 40
    assert len({case.fault for case in CASES}) == len(CASES)
    assert len({case.message for case in CASES}) > len(CASES) - 6


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_the_message_is_exactly_this(case: Case, place: Path) -> None:
    write(case)
    result = CliRunner().invoke(dizuo, case.arguments.split())
    _, _, message = result.stderr.replace(f"{place}/", "").partition("error: ")
    assert message == case.message
    assert result.exit_code == case.status
    assert result.stdout == ""
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("case", CASES[::16], ids=lambda case: case.fault)
def test_a_process_says_the_same(case: Case, place: Path) -> None:
    write(case)
    program = Path(sys.executable).with_name("dizuo")
    run = subprocess.run([program, *case.arguments.split()], capture_output=True, text=True, timeout=120)
    assert run.stderr.replace(f"{place}/", "").endswith(f"error: {case.message}")
    assert run.returncode == case.status
    assert run.stdout == ""


def test_a_fault_of_ours_is_one_line_and_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, place: Path) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by zero at https://me:secret@host/x")

    monkeypatch.setattr("dizuo.recipe.read", broken)
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr("tempfile.tempdir", None)
    result = CliRunner().invoke(dizuo, ["run", "r.yaml"])
    kept = next(place.glob("dizuo-*.txt"))
    assert result.exit_code == 1
    assert result.stderr == (
        "error: a fault in dizuo itself: ZeroDivisionError: division by zero at https://***@host/x\n"
        f"  the traceback is in {kept}\n"
        "\n"
        "hint: run it with --debug to see the traceback, and report it\n"
    )
    assert "ZeroDivisionError" in kept.read_text()
    assert "secret" not in kept.read_text()


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("dizuo.recipe.read", broken)
    result = CliRunner().invoke(dizuo, ["--debug", "run", "r.yaml"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_interrupt_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dizuo.recipe.read", interrupted)
    result = CliRunner().invoke(dizuo, ["run", "r.yaml"])
    assert (result.exit_code, result.stderr) == (130, "\nstopped\n")
