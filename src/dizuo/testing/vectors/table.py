"""The table store × area, from the suite's own results; and these results as a file for the docs.

The functions named `pytest_…` are hooks: a conftest imports them, `python -m dizuo.testing.vectors` registers them.
With `DIZUO_VECTORS_RESULTS=FILE` in the environment the results are merged into that file, so that a store that was
not run this time keeps what it had. Each area is noted with the commit and a digest of the sources it was run with.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dizuo.testing.results import digest_sources, find_commit
from dizuo.testing.vectors import suite
from dizuo.testing.vectors.opening import Opening
from dizuo.testing.vectors.suite import AREAS
from dizuo.vectors.connecting.addresses import ALIASES

__all__ = ["Results", "area_of", "changed_areas", "digest_of", "lines"]

Results = dict[str, dict[str, Any]]
"""By store: `kind`, `engine`, `capabilities`, `areas`: by area the numbers of tests passed, failed, lacking, not
applicable, and the reasons of what is lacking, with the `commit` and a digest of the `sources`; `store`: its name among
the stores; `rows`: vectors of the tests of "k means k"; and `handles`: what an open handle says, by event and call."""

_results: Results = {}
OF = "dizuo vectors suite"
"""The property of a report that says which store and area its test belongs to."""
NOTED = ("engine", "capabilities", "p50 automatic", "p50 index")
"""Properties that tests of the suite record; the p50 are of one search among `rows` vectors, all and at 1 %."""


PACKAGE = Path(__file__).parents[2]


def digest_of(store: str, area: str) -> str:
    """Return the digest of the sources that a result stands on: the store's, and those of the area's tests."""
    own = PACKAGE / "vectors/stores" / (store or "unknown")
    tests = Path(str(sys.modules[getattr(suite, area).__module__].__file__))
    paths = [own if own.is_dir() else own.with_suffix(".py"), tests]
    return digest_sources(path for path in paths if path.exists())


def changed_areas(entry: Mapping[str, Any]) -> list[str]:
    """Return the titles of the areas whose tests, or whose store, changed since they were run."""
    held = {area: row for area, row in entry["areas"].items() if area in AREAS}
    changed = [a for a, row in held.items() if row.get("sources") != digest_of(entry.get("store", ""), a)]
    return [title for area, title in AREAS.items() if area in changed]


def area_of(kind: type[Opening], test: str) -> str:
    """Return the area that a test of the suite belongs to."""
    return next((area.__name__ for area in reversed(kind.__mro__) if test in vars(area)), "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Write store and area on the report of every test of the suite; it may be read in another process."""
    report = yield
    kind = getattr(item, "cls", None)
    if isinstance(kind, type) and issubclass(kind, Opening) and (report.when == "call" or not report.passed):
        area = area_of(kind, getattr(item, "originalname", None) or item.name)
        if area in AREAS:
            said: dict[str, Any] = {"table": kind.title or kind.__name__.removeprefix("Test"), "kind": kind.kind}
            if url := str(getattr(item, "funcargs", {}).get("url") or ""):
                scheme = url.partition("://")[0]
                said["store"] = ALIASES.get(scheme, scheme).partition("+")[0]
            if area == "Selectivity":
                said["rows"] = kind.rows
            report.user_properties.append((OF, {**said, "area": area}))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the outcome of a test of the suite, wherever it ran (with pytest-xdist in a worker)."""
    properties: dict[str, Any] = dict(report.user_properties)
    if OF in properties:
        _note(properties[OF], report, properties)


def _note(of: Mapping[str, Any], report: pytest.TestReport, properties: Mapping[str, Any]) -> None:
    entry = _results.setdefault(of["table"], {"kind": of["kind"], "areas": {}})
    entry |= {key: properties[key] for key in NOTED if key in properties}
    entry |= {key: of[key] for key in ("store", "rows") if key in of}
    if "handles" in properties:
        entry["handles"] = {**entry.get("handles", {}), **properties["handles"]}
    blank = {"passed": 0, "failed": 0, "lacking": [], "not applicable": 0, "not run": 0}
    row = entry["areas"].setdefault(of["area"], blank)
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if report.passed:
        row["passed"] += 1
    elif report.failed:
        row["failed"] += 1
    elif "declared lacking: " in reason:
        row["lacking"].append(reason.partition("declared lacking: ")[2])
    else:
        row["not applicable" if "not applicable" in reason else "not run"] += 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table, where the suite was run."""
    if not _results:
        return
    terminalreporter.section("vector stores")
    for line in lines(_results):
        terminalreporter.write_line(line)
    if path := os.environ.get("DIZUO_VECTORS_RESULTS"):
        merge(Path(path))


def merge(path: Path) -> None:
    """Merge what was found into a file of results; areas that were run replace what was there."""
    held: Results = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for store, entry in _results.items():
        old = held.get(store, {"areas": {}})
        for area, row in entry["areas"].items():
            row["commit"] = find_commit(PACKAGE)
            row["sources"] = digest_of(entry.get("store", ""), area)
        held[store] = {**old, **entry, "areas": {**old["areas"], **entry["areas"]}}
    text = json.dumps(held, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", "utf-8")


def cell(row: Mapping[str, Any] | None) -> str:
    """Return what a table says of one area of one store."""
    if not row:
        return "-"
    if row["failed"]:
        return f"{row['failed']} FAILED"
    parts = [str(row["passed"])] if row["passed"] else []
    if row["lacking"]:
        parts.append(f"lacks {len(row['lacking'])}")
    if row["not run"]:
        parts.append(f"not run {row['not run']}")
    return ", ".join(parts) or "n/a"


def lines(results: Results) -> list[str]:
    """Return the table as lines of text: areas down, stores across."""
    stores = sorted(results)
    grid = [["", *(f"{store} ({kind})" if (kind := results[store]["kind"]) else store for store in stores)]]
    for area, title in AREAS.items():
        grid.append([title, *(cell(results[store]["areas"].get(area)) for store in stores)])
    for key, title in (("engine", "engine"), ("p50 automatic", "p50, all and 1 %"), ("p50 index", "p50, forced index")):
        if any(key in results[store] for store in stores):
            grid.append([title, *(results[store].get(key) or "-" for store in stores)])
    widths = [max(len(row[column]) for row in grid) for column in range(len(stores) + 1)]
    texts = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in grid]
    for store in stores:
        said = Counter(what for event in results[store].get("handles", {}).values() for what in event.values())
        if said:
            texts.append(f"{store}: an open handle says {', '.join(f'{what} ({said[what]})' for what in sorted(said))}")
        reasons = {reason for row in results[store]["areas"].values() for reason in row["lacking"]}
        texts += [f"{store} lacks {reason}" for reason in sorted(reasons)]
    return texts
