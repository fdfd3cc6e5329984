"""The embedded engine keeps the protocol of engines, and a third party's is opened by its name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_models import CONTEXT, tiny

from dizuo import engines, plugins
from dizuo.engines.kinds import ENGINES
from dizuo.errors import ServingError
from dizuo.models import Model, ModelSpec
from dizuo.testing import EngineSuite


def model_of(kind: str) -> Model:
    """Return a tiny random model, in memory."""
    shape = {
        "vocab_size": 211, "hidden_size": 32, "num_layers": 3, "num_heads": 4, "num_kv_heads": 2, "head_dim": 8,
        "intermediate_size": 48,
    }  # fmt: skip
    spec = ModelSpec(
        id="tiny", source="memory", digest="sha256:0", architecture=kind, parameters=0, context_length=CONTEXT,
        dtype="float32", tied_embeddings=False, **shape,
    )  # fmt: skip
    return Model(spec, tiny(kind), tokenizer=None)


class TestEmbedded(EngineSuite):
    engine = "embedded"

    @pytest.fixture(params=["llama", "bloom"])
    def model(self, request: pytest.FixtureRequest) -> Model:
        """Return a model whose sequences are packed, and one whose sequences run one by one."""
        return model_of(request.param)

    @pytest.fixture
    def adapter(self, adapter_of: Callable[..., Path], request: pytest.FixtureRequest) -> Path:
        return adapter_of("tuned", 1, kind=request.node.callspec.params["model"])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Return an installer of a distribution whose module `their_engine` is named in the entry-point group."""
    facts = tmp_path / "their_engine-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: their-engine\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[dizuo.engines.kinds]\ntheirs = their_engine\n")

    def install(code: str) -> Path:
        path = tmp_path / "their_engine.py"
        path.write_text("from dizuo.engines.kinds import EngineKind\n" + code)
        monkeypatch.syspath_prepend(str(tmp_path))
        plugins._entry_points.cache_clear()
        return path

    yield install
    sys.modules.pop("their_engine", None)
    plugins._entry_points.cache_clear()


THEIRS = """
def open_theirs(model, adapters, weights, options):
    return (model, adapters, weights, options)

ENGINE = EngineKind(open=open_theirs, serves_adapters=False, reads_states=False)
"""


def test_a_third_partys_engine_is_opened_by_its_name(installed: Any) -> None:
    installed(THEIRS)
    assert ENGINES.names() == ("embedded", "theirs")
    model: Any = "a model"
    opened: Any = engines.open(model, engine="theirs")
    assert opened == ("a model", {}, None, engines.EngineOptions())


def test_adapters_for_an_engine_that_serves_none_are_refused_before_it_is_opened(installed: Any) -> None:
    installed(THEIRS)
    model: Any = "a model"
    with pytest.raises(ServingError, match="the engine 'theirs' serves no adapters"):
        engines.open(model, engine="theirs", adapters={"tuned": Path()})
