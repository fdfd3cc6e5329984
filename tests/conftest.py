"""What holds for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dizuo.redaction import memory


def pytest_configure(config: pytest.Config) -> None:
    """Where workers run the tests (pytest-xdist), print their table of stores here: no conftest below is read."""
    if config.getoption("numprocesses", None):
        from dizuo.testing.vectors import table

        config.pluginmanager.register(table)


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
