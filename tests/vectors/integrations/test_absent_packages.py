"""Where one of the projects is not installed, the import says what to install; dizuo itself never asks for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCK = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("langchain_core", "llama_index", "haystack"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", BLOCK + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["langchain", "llamaindex", "haystack"])
def test_an_absent_project_is_named_with_its_extra(name: str) -> None:
    code = f"""
from dizuo.errors import MissingPackage
try:
    import dizuo.vectors.integrations.{name}
except MissingPackage as error:
    print(error)
"""
    assert f'pip install "dizuo[{name}]"' in run(code)


def test_the_rest_of_vectors_needs_none_of_them() -> None:
    code = """
import dizuo
from dizuo.vectors import Point, field
store = dizuo.connect("memory://", dim=2)
store.upsert(Point("a", [1, 0]))
import dizuo.vectors.integrations
print(store.search([1, 0]).ids, "torch" in sys.modules)
"""
    assert run(code) == "['a'] False\n"
