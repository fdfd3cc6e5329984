"""What the estimate of memory counts per token, against what autograd saves: every backend, adapter and dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from dizuo.models import ModelSpec, memory, quantization
from dizuo.models.adapters import add_lora
from dizuo.models.loading import Model
from dizuo.trees import Choice, Runner, Sequences

LENGTH, ROWS = 150, 4
SHAPE = {
    "vocab_size": 99, "hidden_size": 144, "intermediate_size": 272, "num_hidden_layers": 6, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"head_dim": 36},
    "qwen2": {},
    "qwen3": {"head_dim": 36},
    "mistral": {"head_dim": 36, "sliding_window": None},
    "phi3": {},
    "gemma3_text": {"head_dim": 36, "sliding_window": 512, "query_pre_attn_scalar": 36},
}


def spec_of(name: str, module: Any) -> ModelSpec:
    config = module.config
    return ModelSpec(
        id=name, source=name, digest="", architecture=name, context_length=256, dtype="float32",
        parameters=sum(parameter.numel() for parameter in module.parameters()), vocab_size=config.vocab_size,
        hidden_size=config.hidden_size, num_layers=config.num_hidden_layers, num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads, head_dim=36, intermediate_size=config.intermediate_size,
        tied_embeddings=config.tie_word_embeddings,
    )  # fmt: skip


def kept(module: Any, dtype: str, choice: Choice) -> int:
    """Return the bytes that a forward pass saves for its backward, weights and their casts left out."""
    runner = Runner(module, compute_dtype=getattr(torch, dtype), choice=choice)
    draw = np.random.default_rng(0).integers(3, 99, (ROWS, LENGTH))
    draw[:, 0] = np.arange(ROWS) + 3  # nothing is shared
    batch = Sequences.of((row.tolist(), [0.0] * (LENGTH - 1) + [1.0]) for row in draw)
    runner.forward(batch)  # casts are made
    known = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    sizes = {value for parameter in module.parameters() for value in parameter.shape}
    sizes |= {a + b for a in sizes for b in sizes} | {72 * 2 + 144}
    saved: dict[int, tuple[int, torch.Tensor]] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        weight = tensor.ndim == 2 and {*tensor.shape} <= sizes
        if storage.data_ptr() not in known and not weight:
            saved[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = runner.forward(batch)
    assert outputs.num_tokens == ROWS * (LENGTH if choice.layout == "padded" else LENGTH - 1)
    return sum(size for size, _ in saved.values())


CELLS = [
    (name, method, dtype, backend)
    for name in FAMILIES
    for method in ("lora", "dora", "lora+nf4", "dora+int8", "full")
    for dtype in ("float32", "bfloat16")
    for backend in ("native", "hosted", "padded")
    if (backend != "native" or method in ("lora", "full"))
    # Adapters and layers do not ask for each other: all are tried on one family, and all families with one.
    and (name == "llama" or (method, backend) in {("lora", "native"), ("lora", "hosted"), ("full", "native")})
]


@pytest.mark.parametrize(("name", "method", "dtype", "backend"), CELLS, ids="-".join)
def test_what_a_token_keeps_is_what_is_counted(name: str, method: str, dtype: str, backend: str) -> None:
    torch.manual_seed(0)
    config = CONFIG_MAPPING[name](**{**SHAPE, **FAMILIES[name]})
    module: Any = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    spec = spec_of(name, module)
    adapter, _, quantize = method.partition("+")
    if quantize:
        if (why := quantization.find_fault(quantize)) is not None:
            pytest.skip(why)
        quantization.quantize(module, quantize)
    if adapter == "full":
        module.requires_grad_(True)
    else:
        module = add_lora(Model(spec, module, None), rank=8, alpha=16, seed=0, kind=adapter)  # type: ignore[arg-type]
    choice = Choice("padded" if backend == "padded" else "tree", backend, "asked for")  # type: ignore[arg-type]
    found = kept(module, dtype, choice)
    counted = (ROWS * LENGTH) * memory.activation_bytes_per_token(
        spec, sequence_length=LENGTH, dtype=dtype, rank=8, method=adapter, backend=backend
    )
    assert counted == pytest.approx(found, rel=0.12), f"{counted / found:.3f}"
