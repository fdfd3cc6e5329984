"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from dizuo.redaction import memory

REQUIRE = bool(os.environ.get("DIZUO_REQUIRE_OTHERS"))
"""Whether a test that is skipped has failed: `make test-others` has installed what these tests need."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Make a failure of a skipped test where nothing may be skipped."""
    return _required((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    """Make a failure of a skipped file where nothing may be skipped."""
    return _required((yield))


def _required(report: Any) -> Any:
    if REQUIRE and report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, and nothing may be skipped here: {report.longrepr}"
    return report


def pytest_configure(config: pytest.Config) -> None:
    """Where workers run the tests (pytest-xdist), print their table of stores here: no conftest below is read."""
    if config.getoption("numprocesses", None):
        from dizuo.testing.vectors import table

        config.pluginmanager.register(table)


os.environ["DIZUO_LANG"] = "en"  # whatever the locale of this machine; tests of Chinese say so


@pytest.fixture(autouse=True)
def _secrets_of_one_test() -> Iterator[None]:
    """Forget the secrets of a test when it is over: a process remembers them, and other tests quote such words."""
    texts, pieces = set(memory._texts), set(memory._pieces)
    whole = {piece: list(forms) for piece, forms in memory._whole.items()}
    yield
    if memory._texts != texts:
        for now, before in ((memory._texts, texts), (memory._pieces, pieces)):
            now.clear()
            now.update(before)
        memory._whole.clear()
        memory._whole.update(whole)
