"""Fixtures of the vector tests: running engines of each database, see engines/__init__.py; and the table at the end."""

from engines.fixtures import *  # noqa: F403

from dizuo.testing.vectors.table import pytest_runtest_makereport, pytest_terminal_summary  # noqa: F401
