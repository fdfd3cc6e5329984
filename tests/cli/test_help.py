"""`dizuo --help`: at once, and true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dizuo.cli import VERBS, dizuo

DIZUO = Path(sys.executable).with_name("dizuo")


def test_help_takes_less_than_a_third_of_a_second() -> None:
    # Processor time: what it takes on a machine that is not busy with other tests.
    best = float("inf")
    for _ in range(5):
        before = os.times()
        subprocess.run([DIZUO, "--help"], capture_output=True, check=True, timeout=60)
        after = os.times()
        best = min(best, after.children_user + after.children_system - before.children_user - before.children_system)
    assert best < 0.3


def test_help_loads_the_standard_library_and_click_only() -> None:
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom dizuo.cli import dizuo\n"
        "try:\n    dizuo.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print('LOADED', *sorted(names - set(sys.stdlib_module_names)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.rpartition("LOADED ")[2].split() == ["click", "dizuo"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_there_and_explains_itself(verb: str) -> None:
    result = CliRunner().invoke(dizuo, [verb, "--help"])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"Usage: dizuo {verb}")
    assert result.stderr == ""


def test_the_version_is_printed() -> None:
    result = CliRunner().invoke(dizuo, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("dizuo 0.")


def test_help_loads_no_verb() -> None:
    code = "import sys\nfrom dizuo.cli import dizuo\ntry:\n    dizuo.main(['--help'])\nexcept SystemExit:\n    pass\n" \
        "print([name for name in sys.modules if name.startswith('dizuo.cli.')])"  # fmt: skip
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("arguments", [[], ["runs"], ["recipe"]])
def test_a_group_alone_shows_its_help_and_is_a_usage_fault(arguments: list[str]) -> None:
    result = CliRunner().invoke(dizuo, arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith(" ".join(["Usage: dizuo", *arguments]))
    assert "Commands:" in result.stderr
