"""Conformance suites of what plugs into training: methods, launchers, trackers and the doctor's checks.

    class TestMine(MethodSuite):
        @pytest.fixture(scope="class")
        def name(self): return "mine"

A plugin is tested as it is used: found by its name, on a tiny real model, on rows that `samples` makes.

    samples.py    a random Llama of two layers with a real tokenizer, and rows of every kind of record
    methods.py    MethodSuite
"""

from __future__ import annotations

import pytest

# Before the suites are imported: their asserts say what they compared.
pytest.register_assert_rewrite("dizuo.testing.training.methods")

from dizuo.testing.training.methods import MethodSuite  # noqa: E402

__all__ = ["MethodSuite"]
