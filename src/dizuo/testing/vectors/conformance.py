"""The suite against the address in DIZUO_VECTORS_URL; `python -m dizuo.testing.vectors URL` runs this file."""

from __future__ import annotations

import json
import os

import pytest

from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["TestStore"]


class TestStore(VectorStoreSuite):
    """The store at that address."""

    options = json.loads(os.environ.get("DIZUO_VECTORS_OPTIONS", "{}"))
    kind = ""  # an address does not say whether an emulator answers
    title = os.environ.get("DIZUO_VECTORS_URL", "store").partition("://")[0]

    @pytest.fixture
    def url(self) -> str:
        return os.environ["DIZUO_VECTORS_URL"]
