"""Every source of ours, held to the suite that a third party's is held to.

`test_hub.py` holds the Hugging Face hub, and `test_modelscope.py` ModelScope's.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from wheelhouse import write_wheel

from dizuo.artifacts.sources import SOURCES
from dizuo.testing import SourceSuite


class TestPath(SourceSuite):
    name = "path"

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "weights").write_bytes(b"1234")
        (folder / "LICENSE").write_text("the licence")
        return str(folder)

    @pytest.fixture
    def missing(self, tmp_path: Path) -> str:
        return str(tmp_path / "nothing")


class TestPyPI(SourceSuite):
    name = "pypi"
    malformed = ("pypi:", "pypi:a[extra]", "pypi:a>=1", "pypi:a==", "pypi:a/../b")

    @pytest.fixture
    def address(self, shop: Path) -> str:
        write_wheel(shop, "some-model", "1.0", {"some_model/weights": b"1234", "some_model/LICENSE": b"the licence"})
        return "pypi:some-model/some_model"

    @pytest.fixture
    def missing(self, shop: Path) -> str:
        return "pypi:nothing-here"


def test_every_source_is_held_to_the_suite() -> None:
    held = {suite.name for suite in SourceSuite.__subclasses__() if suite.__module__ == __name__}
    assert held | {"hf", "modelscope"} == set(SOURCES.names())
