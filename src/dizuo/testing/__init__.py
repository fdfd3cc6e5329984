"""Conformance suites that anybody's plugin can be held to; they need pytest and hypothesis (`dizuo[dev]`).

    from dizuo.testing import VectorStoreSuite

    class TestMine(VectorStoreSuite):
        @pytest.fixture
        def url(self): return "mine://localhost"

There is one for every kind of plugin, and ours run through the same: `vectors/` for stores, `training/` for methods,
launchers, trackers and checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.testing.training import CheckSuite, LauncherSuite, MethodSuite, Sick, TrackerSuite
    from dizuo.testing.vectors import VectorStoreSuite

__all__ = ["CheckSuite", "LauncherSuite", "MethodSuite", "Sick", "TrackerSuite", "VectorStoreSuite"]

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "CheckSuite": "training",
        "LauncherSuite": "training",
        "MethodSuite": "training",
        "Sick": "training",
        "TrackerSuite": "training",
        "VectorStoreSuite": "vectors",
    },
)
