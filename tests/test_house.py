"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import graphlib
import re
import runpy
import subprocess
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "dizuo"
FILES = sorted(SOURCE.rglob("*.py"))
NAMEABLE = "\n".join(
    f"/{file.relative_to(ROOT).as_posix()}" for folder in ("src", "tests", "benchmarks")
    for file in (ROOT / folder).rglob("*.py")
) + "\n"  # fmt: skip
NOT_HERE = {"utils.py", "util.py", "helpers.py", "common.py", "manager.py", "misc.py", "core.py", "base.py"}


def test_there_is_a_source_tree_to_check() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "a file begins with a docstring that says what it is"
    assert path.name not in NOT_HERE
    assert len(text.splitlines()) <= 500, "one file, one idea"


def test_no_import_runs_in_a_circle() -> None:
    """Imports inside functions and for type checkers count: who reads one of two such files must read the other."""
    graph = grimp.build_graph("dizuo", include_external_packages=False, cache_dir=None)
    order = graphlib.TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    try:
        assert len(list(order.static_order())) == len(graph.modules) > 400
    except graphlib.CycleError as error:
        pytest.fail(f"imports in a circle: {' imports '.join(reversed(error.args[1]))}", pytrace=False)


PLUGIN_FOLDERS = {
    "artifacts/sources", "cli", "cli/vectors", "data/formats", "data/readers", "engines/kinds", "evaluation/baselines",
    "evaluation/figures", "evaluation/kinds", "evaluation/metrics", "machine/checks", "training/doctor/checks",
    "training/launchers", "training/methods",
    "training/trackers", "vectors/benchmarking/raw", "vectors/embedders", "vectors/integrations",
    "vectors/knowledge/documents/readers", "vectors/rerankers", "vectors/stores",
}  # fmt: skip
ROOMS = sorted({path.parent for path in FILES} - {SOURCE})


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_is_read_from_its_front_page(room: Path) -> None:
    entries = {path.name for path in room.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    name = str(room.relative_to(SOURCE))
    assert "__init__.py" in entries, f"{name} has no front page"
    page = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8")))
    assert page
    if name in PLUGIN_FOLDERS or room.parent.relative_to(SOURCE).as_posix() in PLUGIN_FOLDERS:
        return
    assert len(entries) <= 18, (
        f"{name} has {len(entries)} entries, at most 18: make a room of some that belong together"
    )


@pytest.mark.parametrize("room", [SOURCE / name for name in sorted(PLUGIN_FOLDERS)], ids=lambda path: path.name)
def test_an_entry_of_a_plugin_folder_is_a_file_or_a_package(room: Path) -> None:
    """`stores/_redis_words.py` beside `stores/redis.py` would be an entry that is no database."""
    assert not [path.name for path in room.glob("_*.py") if path.name not in ("__init__.py", "__main__.py")]


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_front_page_names_every_entry_of_its_room(room: Path) -> None:
    """The folder of a plugin kind says what a plugin is; what there is of them, the folder says itself."""
    name = room.relative_to(SOURCE).as_posix()
    parent = room.parent.relative_to(SOURCE).as_posix()
    if name in PLUGIN_FOLDERS or parent in PLUGIN_FOLDERS:
        return
    stems = {path.stem for path in room.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    page = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    # `rows.py`, `kinds/`, or the bare name where it begins a line or stands in backquotes: not a word of the prose.
    named = set(re.findall(r"^ *(\w+)|`(\w+)[`./]|(\w+)(?:\.py|/)", page, re.MULTILINE))
    missing = sorted(stems - {"__init__", "__main__"} - {name for group in named for name in group})
    assert not missing, f"the front page of {name} does not name {', '.join(missing)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_that_a_docstring_names_exist(path: Path) -> None:
    page = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    named = re.findall(r"(?<![\w/.])[a-z_][\w/]*\.py\b", page)
    lost = [name for name in named if f"/{name}\n" not in NAMEABLE]
    assert set(lost) <= {"mine.py", "setup.py"}  # a reader's own plugin, and what Python packages used to have


def test_every_room_has_quick_tests_and_all_of_them_exist() -> None:
    quick = runpy.run_path(str(ROOT / "tests" / "check.py"))["QUICK"]
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    assert set(quick) == rooms
    for room, paths in quick.items():
        assert paths, f"make check ROOM={room} would run no test"
        assert not [path for path in paths if not (ROOT / path.partition("::")[0]).exists()], room


def test_the_library_prints_nowhere_but_in_show() -> None:
    found = []
    for path in FILES:
        if path.is_relative_to(SOURCE / "cli") or path.name == "__main__.py" or path == SOURCE / "progress.py":
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
