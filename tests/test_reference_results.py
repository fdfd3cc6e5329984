"""The tables of the reference come from results of runs, and say when the sources of a result have changed since."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import generate
import methods_page
import pytest

from dizuo.testing import method_results
from dizuo.testing.results import digest_sources, find_commit
from dizuo.testing.vectors import table
from dizuo.testing.vectors.suite import AREAS
from dizuo.training.methods import METHODS
from dizuo.vectors.stores import STORES

ROOT = Path(__file__).parent.parent


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


def test_a_digest_is_that_of_what_stands_in_the_files(tmp_path: Path) -> None:
    store, tests = tmp_path / "store", tmp_path / "tests.py"
    store.mkdir()
    (store / "__init__.py").write_text("a = 1\n")
    tests.write_text("b = 2\n")
    before = digest_sources([store, tests])
    (store / "notes.txt").write_text("no source")
    assert digest_sources([store, tests]) == before
    for path, text in ((store / "__init__.py", "a = 2\n"), (store / "more.py", ""), (tests, "b = 3\n")):
        path.write_text(text)
        after = digest_sources([store, tests])
        assert after != before
        before = after


def test_a_commit_says_whether_sources_differ_from_it(tmp_path: Path) -> None:
    assert find_commit(tmp_path) == ""
    made = tmp_path / "made"
    (made / "src").mkdir(parents=True)
    (made / "src" / "a.py").write_text("a = 1\n")
    git(made, "init")
    git(made, "add", ".")
    git(made, "commit", "-m", "first")
    (made / "results.json").write_text("{}")
    find_commit.cache_clear()
    commit = find_commit(made)
    assert commit.isalnum()
    (made / "src" / "a.py").write_text("a = 2\n")
    find_commit.cache_clear()
    assert find_commit(made) == f"{commit}+"
    find_commit.cache_clear()


def vectors() -> dict[str, Any]:
    """Return results of every store in every area, run with today's sources."""
    return {
        name: {
            "kind": "real",
            "store": name,
            "rows": 20_000,
            "areas": {
                area: {"passed": 1, "failed": 0, "lacking": [], "not applicable": 0, "not run": 0,
                       "commit": "abc", "sources": table.digest_of(name, area)}
                for area in AREAS
            },
        }
        for name in STORES.names()
    }  # fmt: skip


def row_of(results: dict[str, Any], title: str) -> list[str]:
    (line,) = [line for line in generate._conformance(results).splitlines() if line.startswith(f"| {title} |")]
    return [part.strip() for part in line.strip("|").split("|")[1:]]


def test_a_store_or_an_area_that_changed_since_its_results_is_named_in_the_table() -> None:
    results = vectors()
    assert set(row_of(results, "changed since")) == {"none"}
    assert set(row_of(results, "ran at")) == {"`abc`"}
    for place, name in enumerate(sorted(results)):
        for area, title in AREAS.items():
            changed = copy.deepcopy(results)
            changed[name]["areas"][area] |= {"sources": "0" * 12, "commit": "abd"}
            told = row_of(changed, "changed since")
            assert told.pop(place) == title
            assert set(told) == {"none"}
            assert row_of(changed, "ran at")[place] == "`abc`, `abd`"
    for row in results["redis"]["areas"].values():
        del row["sources"]  # as in a file that is older than the digests
    assert row_of(results, "changed since")[sorted(results).index("redis")] == "all"


@pytest.mark.parametrize("store", STORES.names())
def test_every_store_has_sources_of_its_own_in_its_digest(store: str) -> None:
    others = {table.digest_of(name, "Scores") for name in (*STORES.names(), "", "nobody") if name != store}
    assert table.digest_of(store, "Scores") not in others


@pytest.mark.parametrize("method", METHODS.names())
@pytest.mark.parametrize("place", method_results.PLACES)
def test_a_mark_of_a_method_is_what_its_test_found(method: str, place: str) -> None:
    now = method_results.digest_of(method, place)
    marks = {("passed", now): "✓", ("passed", "0" * 12): "◐", ("failed", now): "✗", ("", ""): "○"}
    for (outcome, sources), mark in marks.items():
        found = {"LoRA": {"outcome": outcome, "commit": "abc", "sources": sources}} if outcome else {}
        page = methods_page.page(lambda _kind, _prefix: [], {method: {place: found}})
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{method}` | CPU")]
        cells = row.split(" | ")[1:]
        assert f"{place} {mark}" in cells[0]
        assert "".join(cells).count("○") == 3 * len(methods_page.ADAPTERS) - (mark != "○")
        (ran,) = [line for line in page.splitlines() if line.startswith(f"| {place} |")]
        assert ran.endswith("| `abc` |" if outcome else "| not run yet |")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "arguments"),
    [
        ("DIZUO_VECTORS_RESULTS", ["tests/vectors/stores/test_memory_store.py", "-k", "TestMemory and k_rows"]),
        ("DIZUO_METHODS_RESULTS", ["tests/training/test_every_method.py", "-k", "every_adapter and sft-LoRA or gpu"]),
    ],
)
def test_a_run_leaves_outcome_commit_and_sources(tmp_path: Path, variable: str, arguments: list[str]) -> None:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"old": {"areas": {}, "CPU": {}}}))
    options = ["-m", "slow or not slow", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'tests'}"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=ROOT, env={**os.environ, variable: str(path)}, capture_output=True, text=True, timeout=250,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    found = json.loads(path.read_text())
    assert "old" in found
    if variable == "DIZUO_VECTORS_RESULTS":
        assert found["memory"]["store"] == "memory"
        assert found["memory"]["rows"] == 20_000
        noted = found["memory"]["areas"]["Selectivity"]
        assert noted["sources"] == table.digest_of("memory", "Selectivity")
    else:
        noted = found["sft"]["CPU"]["LoRA"]
        assert noted["outcome"] == "passed"
        assert noted["sources"] == method_results.digest_of("sft", "CPU")
        assert {result["outcome"] for result in found["sft"].get("GPU", {}).values()} <= {"passed"}
    assert noted["commit"] == find_commit(ROOT)
