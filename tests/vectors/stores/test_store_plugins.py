"""A store of a third party is found by its entry point, and whatever is wrong with it is one error with its file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dizuo import plugins
from dizuo.errors import PluginError
from dizuo.testing import VectorStoreSuite
from dizuo.vectors import Point, connect
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.limits import KINDS
from dizuo.vectors.stores import STORES

START = """
    from dataclasses import dataclass
    from dizuo.vectors.protocol.database import Database
    from dizuo.vectors.stores.memory import Memory
    @dataclass(frozen=True, slots=True)
    class Options:
        colour: str = "red"
    def open_store(url, request, options):
        return Memory(request.check_new(), (options.colour, ""))
    """
RIGHT = "STORE = Database(options=Options, open=open_store)"
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a store as third parties do: a distribution with an entry point."""
    facts = tmp_path / "my_stores-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-stores\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)

    def write(end: str, *, name: str = "mine") -> Path:
        file = tmp_path / f"{tmp_path.name}_store.py"  # no two tests import the same module
        file.write_text(textwrap.dedent(START) + end)
        (facts / "entry_points.txt").write_text(f"[dizuo.vectors.stores]\n{name} = {file.stem}\n")
        plugins._entry_points.cache_clear()
        return file

    yield write
    plugins._entry_points.cache_clear()


def test_a_store_of_a_third_party_runs_through_our_suite(install: Install) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("DIZUO_VECTORS")}
    environment["PYTHONPATH"] = os.pathsep.join([str(install(RIGHT).parent), environment.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "dizuo.testing.vectors", "mine://", "--quick"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"upsert, update, delete +\d+$", run.stdout, re.MULTILINE)


def test_a_store_of_a_third_party_opens_with_its_options(install: Install) -> None:
    install(RIGHT)
    assert "mine" in STORES.names()
    assert STORES.load("mine").name == "mine"
    with connect("mine://?colour=blue", dim=2) as store:
        store.upsert(Point("a", [1, 0]))
        assert store.search([1, 0]).ids == ["a"]
        assert store.info().engine.where == "blue"


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("STORE = Database(options=Options, opne=open_store)", "Database has no field 'opne' (did you mean 'open'?)"),
        ("STORE = Database(options=int, open=open_store)", "options is int, not a dataclass"),
        (
            "@dataclass\nclass Bare:\n    size: int\nSTORE = Database(options=Bare, open=open_store)",
            "the option 'size' has no default",
        ),
    ],
)
def test_a_store_that_is_none_is_one_error_with_its_file(install: Install, end: str, why: str) -> None:
    file = install(end)
    with pytest.raises(PluginError) as caught:
        connect("mine://", dim=2)
    assert caught.value.message == f"{file} is not a store: {why}"


def test_every_store_of_ours_is_a_database() -> None:
    for name, database in STORES.all().items():
        assert isinstance(database, Database)
        assert database.name == name


@pytest.mark.parametrize("name", [name for name in STORES.names() if name != "memory"])
def test_every_store_states_every_limit_once(name: str) -> None:
    assert [limit.kind for limit in STORES.load(name).limits] == list(KINDS)


def test_every_limit_has_a_test_in_the_suite_that_runs_on_every_store() -> None:
    for _, test in KINDS.values():
        assert callable(getattr(VectorStoreSuite, test))
