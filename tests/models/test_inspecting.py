"""Models of all kinds of brokenness, each with the text that a user reads."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import save_gguf, save_tiny, tiny_llama
from transformers import BertConfig, BertModel

from dizuo import models
from dizuo.errors import ModelError


def test_a_folder_is_inspected_without_its_weights(tiny_folder: Path) -> None:
    spec = models.inspect(tiny_folder)
    assert spec.parameters == sum(parameter.numel() for parameter in tiny_llama().parameters())
    assert (spec.source, spec.folder) == (str(tiny_folder), str(tiny_folder))
    assert spec.tied_embeddings
    assert spec.capabilities["causal"]


def test_facts_are_remembered_by_digest_not_by_place(tiny_folder: Path, tmp_path: Path) -> None:
    first = models.inspect(tiny_folder)
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in tiny_folder.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    second = models.inspect(copy)
    assert (second.digest, second.parameters) == (first.digest, first.parameters)
    assert (second.id, second.folder) == ("copy", str(copy))
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 99}))
    assert models.inspect(copy).context_length == 99


def test_a_model_inside_a_larger_folder_is_found(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "package" / "inner").mkdir(parents=True)
    for path in tiny_folder.iterdir():
        (tmp_path / "package" / "inner" / path.name).write_bytes(path.read_bytes())
    spec = models.inspect(tmp_path / "package")
    assert spec.folder == str(tmp_path / "package" / "inner")
    assert spec.digest == models.inspect(tiny_folder).digest


def write_config(folder: Path, **values: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(values))


def good(folder: Path) -> None:
    save_tiny(folder)


def two_ggufs(folder: Path) -> None:
    folder.mkdir()
    for name in ("q4.gguf", "q8.gguf"):
        (folder / name).write_bytes(b"GGUF")


def pickled(folder: Path) -> None:
    write_config(folder, model_type="llama")
    (folder / "pytorch_model.bin").write_bytes(b"")


def split_gguf(folder: Path) -> None:
    folder.mkdir()
    (folder / "m-00001-of-00002.gguf").write_bytes(b"GGUF")


def with_code(folder: Path) -> None:
    save_tiny(folder)
    config = json.loads((folder / "config.json").read_text())
    write_config(folder, **config, auto_map={"AutoModelForCausalLM": "evil.Model"})


def with_tokenizer_code(folder: Path) -> None:
    save_tiny(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "auto_map": {"AutoTokenizer": ["e.T", None]}}))


def unknown_architecture(folder: Path) -> None:
    save_tiny(folder)
    write_config(folder, model_type="newest_invention")


def no_type(folder: Path) -> None:
    save_tiny(folder)
    write_config(folder, hidden_size=3)


def cut_short(folder: Path) -> None:
    save_tiny(folder)
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def not_safetensors(folder: Path) -> None:
    save_tiny(folder)
    (folder / "model.safetensors").write_bytes(b"PK" * 100)


def missing_shard(folder: Path) -> None:
    save_tiny(folder)
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def empty(folder: Path) -> None:
    folder.mkdir()


def text_file(folder: Path) -> None:
    folder.write_text("hello")


def config_only(folder: Path) -> None:
    write_config(folder, model_type="llama")


BROKEN: dict[Callable[[Path], None], str] = {
    two_ggufs: "{m} holds 2 models\n  q4.gguf\n  q8.gguf\n\nhint: add one of these paths to the address",
    pickled: "{m} has its weights only as pytorch_model.bin, a format that can run code when read\n\n"
    "hint: choose a version with .safetensors files, or convert it on a machine you can throw away",
    split_gguf: "{m} holds a GGUF that is split into several files, which cannot be read\n\n"
    "hint: join it with llama-gguf-split --merge",
    with_code: "the model in {m} brings Python code of its own (auto_map in config.json), which is never run\n\n"
    "hint: choose a model whose architecture transformers itself has",
    with_tokenizer_code: "the model in {m} brings Python code of its own (auto_map in tokenizer_config.json), "
    "which is never run\n\nhint: choose a model whose architecture transformers itself has",
    no_type: "{m}/config.json names no model_type\n\nhint: check that this is a model's folder",
    cut_short: "{m}/model.safetensors is cut short: it has ",
    not_safetensors: "{m}/model.safetensors is not a safetensors file\n\nhint: fetch the model again",
    missing_shard: "{m} lacks model-00002-of-00002.safetensors, which its index names\n\nhint: fetch the model again",
    unknown_architecture: "the model in {m} cannot be read: ",
    empty: "{m} is not a model: it has neither a .gguf file nor a config.json\n\n"
    "hint: check the address, or add the inner path to it",
    config_only: "{m} is not a model: it has config.json but no .safetensors files\n\n"
    "hint: check the address, or add the inner path to it",
    text_file: "{m} is a file, but not a GGUF\n\n"
    "hint: give the folder that has config.json and the .safetensors files, or a .gguf file",
}


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.__name__)
def test_a_broken_model_says_what_is_wrong(fault: Callable[[Path], None], tmp_path: Path) -> None:
    fault(tmp_path / "m")
    with pytest.raises(ModelError) as raised:
        models.inspect(tmp_path / "m")
    expected = BROKEN[fault].format(m=tmp_path / "m")
    assert str(raised.value).startswith(expected)
    assert "hint: " in str(raised.value)


def test_missing_weights_are_an_error_not_random_numbers(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    spec = models.inspect(tmp_path / "m")
    with pytest.raises(ModelError) as raised:
        models.load(spec)
    assert str(raised.value) == (
        f"{tmp_path / 'm'} lacks 1 weights of LlamaForCausalLM\n  model.layers.1.mlp.up_proj.weight\n\n"
        "hint: fetch the model again"
    )


def test_sixteen_bit_weights_load_as_fp32_and_as_themselves(tmp_path: Path) -> None:
    model = tiny_llama().to(torch.bfloat16)
    save_tiny(tmp_path / "m")
    model.save_pretrained(tmp_path / "m")
    spec = models.inspect(tmp_path / "m")
    assert spec.dtype == "bfloat16"
    for dtype, kind in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        loaded = models.load(spec, dtype=dtype).module
        for name, tensor in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], tensor.to(kind)), name


def test_a_loaded_model_does_not_depend_on_its_file(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m")
    before = (tmp_path / "m" / "model.safetensors").read_bytes()
    module = models.load(models.inspect(tmp_path / "m")).module
    module.model.embed_tokens.weight.fill_(7.0)
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == before
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_folder_that_went_away_is_named(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m")
    spec = models.inspect(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "gone")
    with pytest.raises(ModelError, match="the files of m are gone"):
        models.load(spec)


def test_a_spec_of_another_version_is_refused(tiny_folder: Path) -> None:
    value = models.inspect(tiny_folder).to_json()
    value["colour"] = value.pop("digest")
    with pytest.raises(ModelError) as raised:
        models.ModelSpec.from_json(value)
    assert raised.value.details == ("unknown: colour", "missing: digest")


def test_an_encoder_is_not_loaded_as_a_language_model(tmp_path: Path) -> None:
    config = BertConfig(
        vocab_size=330, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64
    )
    torch.manual_seed(0)
    save_tiny(tmp_path / "bert")
    (tmp_path / "bert" / "model.safetensors").unlink()
    bert = BertModel(config, add_pooling_layer=False).eval()
    bert.save_pretrained(tmp_path / "bert")
    spec = models.inspect(tmp_path / "bert")
    assert not spec.capabilities["causal"]
    with pytest.raises(ModelError, match="is an encoder"):
        models.load(spec)


def test_end_of_turn_is_the_templates_and_the_tokenizers(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m")
    tokenizer = models.load_tokenizer(models.inspect(tmp_path / "m"))
    assert models.end_of_turn_ids(tokenizer) == (2,)
    tokenizer.eos_token = "<|endoftext|>"
    assert models.end_of_turn_ids(tokenizer) == (0, 2)
    (tmp_path / "m" / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 7]}))
    assert models.end_of_turn_ids(tokenizer) == (0, 2, 7)


def test_a_folder_without_a_template_is_told_and_gets_the_default(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m", template=None)
    spec = models.inspect(tmp_path / "m")
    assert spec.notes == ("the model has no chat template; dizuo's default 'chatml' is used",)
    template = models.load_tokenizer(spec).chat_template
    assert spec.chat_template_digest == "sha256:" + hashlib.sha256(template.encode()).hexdigest()


def test_a_template_that_fails_is_an_error(tmp_path: Path) -> None:
    save_tiny(tmp_path / "m")
    tokenizer = models.load_tokenizer(models.inspect(tmp_path / "m"))
    tokenizer.chat_template = "{{ raise_exception('no system please') }}"
    with pytest.raises(ModelError, match="fails on a question and an answer: no system please"):
        models.end_of_turn_ids(tokenizer)


def test_a_converted_model_is_inspected_without_torch(tmp_path: Path) -> None:
    save_gguf(tmp_path / "m.gguf", tiny_llama())
    models.inspect(tmp_path / "m.gguf")
    code = (
        "import sys\nfrom dizuo import models\nmodels.inspect(sys.argv[1])\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "m.gguf")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"
