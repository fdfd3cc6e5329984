"""DoRA, rsLoRA and adapters on quantised weights: saved for plain PEFT, and merged without a change of answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from tiny import save_tiny

from dizuo import models
from dizuo.errors import ModelError
from dizuo.models import adapters, merging, quantization

IDS = torch.tensor([[1, 40, 41, 42, 43, 2]])
bitsandbytes = pytest.mark.skipif(
    quantization.find_fault("nf4") is not None, reason=str(quantization.find_fault("nf4"))
)
QUANTIZED = [pytest.param("nf4", marks=bitsandbytes), "int8"]


def trained(folder: Path, *, kind: str, quantize: str = "none", seed: int = 1) -> tuple[models.Model, Any]:
    """A model with an adapter all of whose tensors have moved."""
    model = models.load(models.inspect(folder), quantize=quantize)
    module = adapters.add_lora(model, rank=4, alpha=8, seed=seed, kind=kind)
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "lora_B" in name:
                parameter.normal_(0, 0.1)
            if "lora_magnitude_vector" in name:
                parameter.mul_(torch.empty_like(parameter).uniform_(0.5, 1.5))
    return model, module


@pytest.mark.parametrize("kind", ["dora", "rslora"])
def test_a_new_adapter_of_any_kind_changes_nothing_and_trains_only_itself(tiny_folder: Path, kind: str) -> None:
    plain = models.load(models.inspect(tiny_folder)).module(IDS).logits
    module = adapters.add_lora(models.load(models.inspect(tiny_folder)), rank=4, alpha=8, seed=1, kind=kind)
    assert torch.allclose(module(IDS).logits, plain, atol=1e-6)
    names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
    assert len(names) == (3 if kind == "dora" else 2) * 7 * 2
    assert all("lora_" in name for name in names)


def test_the_scale_is_alpha_over_rank_and_over_its_root_with_rslora(tiny_folder: Path) -> None:
    scales = {}
    for kind in adapters.KINDS:
        _, module = trained(tiny_folder, kind=kind)
        scales[kind] = module.get_base_model().model.layers[0].self_attn.q_proj.scaling["default"]
    assert scales == {"lora": 2.0, "dora": 2.0, "rslora": 4.0}


@pytest.mark.parametrize("kind", adapters.KINDS)
@pytest.mark.parametrize("quantize", ["none", *QUANTIZED])
def test_merged_by_us_it_answers_as_it_does_beside_its_base(
    tiny_folder: Path, tmp_path: Path, kind: str, quantize: str
) -> None:
    from transformers import AutoModelForCausalLM

    model, module = trained(tiny_folder, kind=kind, quantize=quantize)
    logits = module(IDS).logits.detach()
    with module.disable_adapter():
        assert (module(IDS).logits - logits).abs().max() > 0.1, "the adapter does nothing"
    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    assert torch.equal(module(IDS).logits, logits), "merging changed the model itself"
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert (again(IDS).logits - logits).abs().max() <= 1e-5
    assert all(value.dtype == torch.float32 for value in load_file(tmp_path / "merged" / "model.safetensors").values())


def test_dora_is_merged_as_magnitude_times_direction_in_fp32(tiny_folder: Path) -> None:
    _, module = trained(tiny_folder, kind="dora")
    layer: Any = module.get_base_model().model.layers[1].mlp.down_proj
    whole = layer.base_layer.weight.double() + 2.0 * (
        layer.lora_B["default"].weight.double() @ layer.lora_A["default"].weight.double()
    )
    magnitude = layer.lora_magnitude_vector["default"].weight.double()
    expected = magnitude[:, None] * whole / whole.square().sum(1).sqrt()[:, None]
    got = merging.merge(module)["model.layers.1.mlp.down_proj.weight"]
    assert (got - expected).abs().max() < 1e-6
    assert (got - whole).abs().max() > 1e-2, "the magnitudes do nothing"
    module.get_base_model().to(torch.bfloat16)
    assert merging.merge(module)["model.layers.1.mlp.down_proj.weight"].dtype == torch.bfloat16


def test_doras_norm_runs_over_the_right_dimension_of_gpt2s_turned_weights(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel

    save_tiny(tmp_path / "gpt2")
    (tmp_path / "gpt2" / "model.safetensors").unlink()
    config = GPT2Config(vocab_size=320, n_embd=32, n_layer=2, n_head=4, n_positions=128, bos_token_id=1, eos_token_id=2)
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    model, module = trained(tmp_path / "gpt2", kind="dora")
    logits = module(IDS).logits.detach()
    merging.save_merged(module, tmp_path / "merged", tokenizer=model.tokenizer)
    assert (AutoModelForCausalLM.from_pretrained(tmp_path / "merged")(IDS).logits - logits).abs().max() <= 1e-5


@pytest.mark.parametrize("kind", ["dora", "rslora"])
def test_saved_it_loads_in_plain_peft_with_equal_logits(tiny_folder: Path, tmp_path: Path, kind: str) -> None:
    _, module = trained(tiny_folder, kind=kind)
    adapters.save(module, tmp_path / "adapter")
    base = models.load(models.inspect(tiny_folder)).module
    with adapters._known_warnings():
        plain = peft.PeftModel.from_pretrained(base, tmp_path / "adapter")
    assert torch.equal(plain(IDS).logits, module(IDS).logits)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["use_dora"], config["use_rslora"]) == (kind == "dora", kind == "rslora")


@pytest.mark.parametrize("quantize", QUANTIZED)
def test_a_quantised_layer_computes_with_exactly_what_it_dequantises_to(tiny_folder: Path, quantize: str) -> None:
    model = models.load(models.inspect(tiny_folder), quantize=quantize)
    exact = models.load(models.inspect(tiny_folder)).module
    module: Any = model.module
    layer, original = module.model.layers[0].mlp.up_proj, exact.get_submodule("model.layers.0.mlp.up_proj")
    weight = layer.weight
    x = torch.randn(7, 32, generator=torch.Generator().manual_seed(3), requires_grad=True)
    y = layer(x)
    assert (y - x @ weight.T).abs().max() <= 1e-5
    (y * torch.arange(y.shape[1])).sum().backward()
    assert (x.grad - torch.arange(float(y.shape[1])) @ weight).abs().max() <= 1e-4
    away = float((weight - original.weight).abs().max() / original.weight.abs().max())
    assert (0.01 if quantize == "nf4" else 0.001) < away < (0.2 if quantize == "nf4" else 0.005)
    assert type(layer) is quantization.QuantizedLinear
    assert type(module.lm_head) is torch.nn.Linear, "the output layer stays as it was"
    logits = module(IDS).logits
    quantization.dequantize(module)
    assert (module(IDS).logits - logits).abs().max() <= 1e-5
    assert type(module.model.layers[0].mlp.up_proj) is torch.nn.Linear


@bitsandbytes
def test_nf4s_values_are_the_sixteen_of_the_paper(tiny_folder: Path) -> None:
    """Dettmers et al. 2023, appendix E; the largest of a block is quantised again and errs by a hundredth at most."""
    module: Any = models.load(models.inspect(tiny_folder), quantize="nf4").module
    block = module.model.layers[0].self_attn.q_proj.weight.flatten()[:64]
    values = torch.tensor(
        (-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
         -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
         0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0)
    )  # fmt: skip
    relative = block / block.abs().max()
    assert (relative[:, None] - values).abs().min(1).values.max() < 1e-6


@bitsandbytes
def test_an_adapter_says_what_it_was_trained_on_and_other_weights_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    model, module = trained(tiny_folder, kind="lora", quantize="nf4")
    adapters.save(module, tmp_path / "adapter", quantize=model.quantize)
    assert adapters.read_base_quantization(tmp_path / "adapter") == "nf4"
    with pytest.raises(ModelError) as raised:
        adapters.load(models.load(models.inspect(tiny_folder)), tmp_path / "adapter")
    assert "was trained on weights quantised as nf4, and these are none" in raised.value.message
    again = adapters.load(models.load(models.inspect(tiny_folder), quantize="nf4"), tmp_path / "adapter")
    assert torch.equal(again(IDS).logits, module(IDS).logits)
    served = models.load(models.inspect(tiny_folder), quantize="nf4", plain=True)
    assert served.quantize == "nf4"
    beside = adapters.load(served, tmp_path / "adapter")
    assert (beside(IDS).logits - module(IDS).logits).abs().max() <= 1e-5


@bitsandbytes
def test_quantised_weights_are_the_same_in_every_process(tiny_folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, torch\nfrom dizuo import models\nfrom dizuo.models import quantization\n"
        "from safetensors.torch import save_file\nfrom pathlib import Path\n"
        "module = models.load(models.inspect(Path(sys.argv[1])), quantize='nf4').module\n"
        "state = quantization.make_plain_state(module)\n"
        "save_file({k: v.contiguous().clone() for k, v in state.items()}, sys.argv[2])\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tiny_folder), str(tmp_path / "state")], check=True)
    here = quantization.make_plain_state(models.load(models.inspect(tiny_folder), quantize="nf4").module)
    there = load_file(tmp_path / "state")
    assert all(torch.equal(there[name], here[name]) for name in there)
    plain = models.load(models.inspect(tiny_folder)).module.state_dict()
    assert here.keys() == plain.keys()


def test_a_quantisation_that_does_not_exist_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(ModelError, match="no quantisation is called 'fp4'"):
        models.load(models.inspect(tiny_folder), quantize="fp4")


@bitsandbytes
@pytest.mark.parametrize(("outputs", "inputs"), [(64, 32), (48, 80), (33, 96), (7, 5), (128, 64)])
def test_rows_that_are_not_whole_blocks_dequantise_to_the_nearest_of_the_sixteen(outputs: int, inputs: int) -> None:
    """bitsandbytes itself is silently wrong for such rows on processors with AVX-512."""
    linear = torch.nn.Linear(inputs, outputs, bias=False)
    away = (quantization.QuantizedLinear(linear, "nf4").weight - linear.weight).detach().flatten()
    blocks = torch.nn.functional.pad(linear.weight.detach().flatten(), (0, -linear.weight.numel() % 64)).view(-1, 64)
    largest = blocks.abs().amax(1, keepdim=True).expand(-1, 64).flatten()[: len(away)]
    # Half of the widest gap between two values (0.304), and the hundredth by which a block's largest errs.
    assert float((away.abs() / largest).max()) <= 0.152 + 0.02
