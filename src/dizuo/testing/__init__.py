"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

    from dizuo.testing import VectorStoreSuite

    class TestMine(VectorStoreSuite):
        @pytest.fixture
        def url(self): return "mine://localhost"

There is one for every kind of plugin, and ours run through the same: `vectors/` for stores, `training/` for methods.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.testing.training import MethodSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["MethodSuite", "VectorStoreSuite"]

__getattr__, __dir__ = lazy.names(__name__, {"MethodSuite": "training", "VectorStoreSuite": "vectors"})
