"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

from dizuo.testing import VectorStoreSuite

class TestMine(VectorStoreSuite):
    @pytest.fixture
    def url(self): return "mine://localhost"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["VectorStoreSuite"]


def __getattr__(name: str) -> Any:
    if name != "VectorStoreSuite":
        raise AttributeError(f"module 'dizuo.testing' has no attribute {name!r}")
    from dizuo.testing.vectors import VectorStoreSuite

    return VectorStoreSuite
