"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dizuo.redaction import memory

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
