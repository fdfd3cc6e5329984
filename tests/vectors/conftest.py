"""Fixtures of the vector tests: running engines of each database, see engines/__init__.py; and the table at the end."""

from engines.fixtures import *  # noqa: F403

from dizuo.testing.vectors.table import (  # noqa: F401
    pytest_runtest_logreport,
    pytest_runtest_makereport,
    pytest_terminal_summary,
)
