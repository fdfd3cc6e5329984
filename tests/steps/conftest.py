"""Fixtures of the tests of steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from steps_samples import made, place  # noqa: F401


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Tiny models run faster on one thread, and other tests may be running."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
