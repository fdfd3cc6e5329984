"""Conformance suites of what plugs into training: methods, launchers, trackers and the doctor's checks.

    class TestMine(MethodSuite):
        @pytest.fixture
        def name(self): return "mine"

A plugin is tested as it is used: found by its name, on a tiny real model, on rows that `samples` makes.

    samples.py      a random Llama of two layers with a real tokenizer, and rows of every kind of record
    methods.py      MethodSuite
    launchers.py    LauncherSuite
    trackers.py     TrackerSuite
    checks.py       CheckSuite
"""

from __future__ import annotations

from dizuo.testing.training.checks import CheckSuite, Sick
from dizuo.testing.training.launchers import LauncherSuite
from dizuo.testing.training.methods import MethodSuite
from dizuo.testing.training.trackers import TrackerSuite

__all__ = ["CheckSuite", "LauncherSuite", "MethodSuite", "Sick", "TrackerSuite"]
