"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "dizuo"
FILES = sorted(SOURCE.rglob("*.py"))
NOT_HERE = {"utils.py", "util.py", "helpers.py", "common.py", "manager.py", "misc.py", "core.py", "base.py"}


def test_there_is_a_source_tree_to_check() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module starts with the idea of it"
    assert path.name not in NOT_HERE
    assert len(text.splitlines()) <= 500, "one file, one idea"


def test_the_library_never_prints() -> None:
    found = []
    for path in FILES:
        if path.is_relative_to(SOURCE / "cli") or path.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found


def test_no_pickle_and_no_unsafe_yaml() -> None:
    bad = re.compile(r"\bimport pickle\b|\bpickle\.load|yaml\.(unsafe_load|full_load|load)\(|allow_pickle=True")
    found = [str(path.relative_to(ROOT)) for path in FILES if bad.search(path.read_text("utf-8"))]
    assert not found


def test_the_layers_hold() -> None:
    run = subprocess.run(
        [ROOT / ".venv/bin/lint-imports"] if (ROOT / ".venv/bin/lint-imports").exists() else ["lint-imports"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout


def test_every_pinned_version_meets_what_the_package_asks_for() -> None:
    from importlib.metadata import requires

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    assert pinned["torch"] == "2.13.0"
    missing = []
    for text in requires("dizuo") or []:
        requirement = Requirement(text)
        extra = requirement.marker and "extra" in str(requirement.marker) and "dev" not in str(requirement.marker)
        name = next((key for key in pinned if canonicalize_name(key) == canonicalize_name(requirement.name)), None)
        if name is None:
            if requirement.name != "pip" and not extra:
                missing.append(requirement.name)
        else:
            assert requirement.specifier.contains(pinned[name]), text
    assert not missing


def test_the_changelog_has_the_version() -> None:
    import dizuo

    assert f"## {dizuo.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")
