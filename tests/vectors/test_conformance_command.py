"""`python -m dizuo.testing.vectors URL` prints its table, and says in one error what it cannot start with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from engines.server import free_port

from dizuo.testing.vectors.__main__ import main

HELP = "hint: python -m dizuo.testing.vectors --help\n"


@pytest.mark.parametrize(
    ("arguments", "status", "text"),
    [
        ([], 2, f"error: Missing argument 'URL'\n\n{HELP}"),
        (["./index"], 2, f"error: this is no address of a store, such as lancedb://./folder\n\n{HELP}"),
        (["memory://", "--option"], 2, f"error: Option '--option' requires an argument\n\n{HELP}"),
        (["memory://", "--option", "slots"], 2, f"error: --option 'slots' is not NAME=VALUE\n\n{HELP}"),
        (
            ["memory://", "--option", "slots=1"],
            1,
            "error: the options of memory:// are wrong\n  slots: no such option\n\nhint: memory has no options\n",
        ),
    ],
)
def test_what_is_wrong_is_told_before_any_test_runs(
    arguments: list[str], status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == status
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", text)


def test_a_server_that_does_not_answer_is_one_error(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("redis")
    port = free_port()
    assert main([f"redis://:hunter2@127.0.0.1:{port}/0"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: no Redis answers at redis://127.0.0.1:{port}/0")
    assert told.endswith("hint: is the server running, and the port right?\n")
    assert "hunter2" not in told


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("-k=nothing", "error: -k=nothing leaves no test to run"),
        ("--quik", "error: pytest does not take these arguments, see above"),
    ],
)
def test_a_run_without_tests_is_no_success(argument: str, text: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dizuo.testing.vectors", "memory://", argument]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert run.returncode == 2
    assert run.stderr.endswith(f"{text}\n\n{HELP}")


def test_the_table_has_a_row_for_every_area_that_was_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dizuo.testing.vectors", "memory://", "--quick", "-k", "refused or says"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=200)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = dict(line.rsplit("  ", 1) for line in run.stdout.splitlines() if "  " in line)
    found = {area.strip(): cell for area, cell in rows.items()}
    assert found["info, optimize"].isdecimal()
    assert found["wrong vectors and values"][0].isdecimal()
    assert found["k means k"] == "-"
    assert not list(tmp_path.iterdir())
