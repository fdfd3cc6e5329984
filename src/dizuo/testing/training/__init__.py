"""Conformance suites of what plugs into training: methods, launchers, trackers and the doctor's checks.

    class TestMine(MethodSuite):
        @pytest.fixture(scope="class")
        def name(self): return "mine"

A plugin is tested as it is used: found by its name, on a tiny real model, on rows that `samples` makes.

    samples.py      a random Llama of two layers with a real tokenizer, and rows of every kind of record
    methods.py      MethodSuite
    launchers.py    LauncherSuite
    trackers.py     TrackerSuite
    checks.py       CheckSuite
"""

from __future__ import annotations

import pytest

# Before the suites are imported: their asserts say what they compared.
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in ("checks", "launchers", "methods", "trackers")))

from dizuo.testing.training.checks import CheckSuite, Sick  # noqa: E402
from dizuo.testing.training.launchers import LauncherSuite  # noqa: E402
from dizuo.testing.training.methods import MethodSuite  # noqa: E402
from dizuo.testing.training.trackers import TrackerSuite  # noqa: E402

__all__ = ["CheckSuite", "LauncherSuite", "MethodSuite", "Sick", "TrackerSuite"]
