"""Which method was trained with which adapter, and where: results of the tests, as a file for the docs.

The functions named `pytest_…` are hooks, which a conftest imports. With `DIZUO_METHODS_RESULTS=FILE` in the environment
what was run is merged into that file; what was not run this time, or skipped, keeps what it had.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dizuo.testing.results import digest_sources, find_commit

__all__ = ["PLACES", "Results", "digest_of", "mark_of"]

Results = dict[str, dict[str, dict[str, dict[str, str]]]]
"""By method, place and adapter: the `outcome`, the `commit` that it was seen at, and a digest of the `sources`."""
PLACES: Mapping[str, str] = {
    "CPU": "test_it_trains_with_every_adapter",
    "2 ranks": "test_two_ranks_train_every_method_as_one_does",
    "GPU": "test_a_gpu_trains_every_method_as_a_cpu_does",
}
"""By place the test that trains a method there; its parameters are the method and the adapter."""
PACKAGE = Path(__file__).parents[1]
REPOSITORY = PACKAGE.parents[1]
SUITE = PACKAGE / "testing/training/methods.py"
OURS = REPOSITORY / "tests/training/test_every_method.py"
_results: Results = {}


def digest_of(method: str, place: str) -> str:
    """Return the digest of the sources that a result stands on: the method's, and those of the test."""
    tests = [SUITE] if place == "CPU" else [SUITE, OURS]
    own = PACKAGE / "training/methods" / f"{method}.py"
    return digest_sources(path for path in (own, *tests) if path.exists())


def mark_of(result: Mapping[str, str] | None, *, method: str, place: str) -> str:
    """Return what a table says: ✓ passed, ◐ passed before the sources changed, ✗ failed, ○ not run."""
    if result is None:
        return "○"
    if result["outcome"] != "passed":
        return "✗"
    return "✓" if result["sources"] == digest_of(method, place) else "◐"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Note how a method came through."""
    report = yield
    test = getattr(item, "originalname", None)
    place = next((place for place, name in PLACES.items() if name == test), None)
    if place is not None and not report.skipped and (report.when == "call" or report.failed):
        values = item.callspec.params  # type: ignore[attr-defined]
        method = values.get("method") or values["name"]
        _results.setdefault(method, {}).setdefault(place, {})[values["adapter"]] = {
            "outcome": report.outcome,
            "commit": find_commit(REPOSITORY),
            "sources": digest_of(method, place),
        }
    return report


def pytest_terminal_summary() -> None:
    """Write what was found, where that was asked for."""
    if _results and (path := os.environ.get("DIZUO_METHODS_RESULTS")):
        merge(Path(path))


def merge(path: Path) -> None:
    """Merge what was found into a file of results."""
    held: Results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for method, places in _results.items():
        for place, adapters in places.items():
            held.setdefault(method, {}).setdefault(place, {}).update(adapters)
    path.write_text(json.dumps(held, ensure_ascii=False, indent=1, sort_keys=True) + "\n", "utf-8")
