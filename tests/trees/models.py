"""Tiny random-weight models of many architectures, and batches that strain a tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PreTrainedModel

from dizuo.trees import Sequences

VOCABULARY = 99
WINDOW = 5
_BASE = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_MIXED = ["sliding_attention", "full_attention"] * 2

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, tied": {"tie_word_embeddings": True},
    "mistral": {"sliding_window": None},
    "mistral, window": {"sliding_window": WINDOW},
    "qwen2": {},
    "qwen2, window": {"use_sliding_window": True, "sliding_window": WINDOW, "layer_types": _MIXED},
    "qwen3": {"head_dim": 8},
    "phi3": {},
    "gemma2": {
        "head_dim": 8,
        "sliding_window": WINDOW,
        "query_pre_attn_scalar": 8,
        "attn_logit_softcapping": 5.0,
        "final_logit_softcapping": 3.0,
        "layer_types": _MIXED,
    },
    "gemma3_text": {"head_dim": 8, "sliding_window": WINDOW, "query_pre_attn_scalar": 8, "layer_types": _MIXED},
    "gpt2": {
        "n_embd": 32, "n_layer": 4, "n_head": 4, "n_positions": 256, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "gpt_neox": {"hidden_dropout": 0.0, "attention_dropout": 0.0},
    "olmo2": {},
    "granite": {"logits_scaling": 2.0, "residual_multiplier": 0.5, "attention_multiplier": 0.3},
    "cohere": {"logit_scale": 0.5},
    "smollm3": {},
    "mixtral": {"num_local_experts": 4, "num_experts_per_tok": 2, "output_router_logits": False},
    "gpt_oss": {
        "head_dim": 8, "sliding_window": WINDOW, "layer_types": _MIXED, "num_local_experts": 4,
        "num_experts_per_tok": 2,
    },
}  # fmt: skip
NATIVE = [
    name
    for name in ARCHITECTURES
    if name.split(",")[0] in {"llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3_text"}
]
_GPT2_HAS_OTHER_NAMES = {
    "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size",
    "max_position_embeddings",
}  # fmt: skip


def tiny(name: str, *, seed: int = 1, dtype: torch.dtype = torch.float32, **changes: Any) -> PreTrainedModel:
    """Build one model; every weight is drawn, norms and biases too, so that nothing is zero by accident."""
    kind = name.split(",")[0]
    values = {**_BASE, **ARCHITECTURES[name], **changes}
    if kind == "gpt2":
        values = {key: value for key, value in values.items() if key not in _GPT2_HAS_OTHER_NAMES}
    if kind == "gpt_neox":
        values.pop("num_key_value_heads")
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[kind](**values)).to(dtype)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0, 0.2, generator=draw)
            else:
                parameter.add_(torch.randn(parameter.shape, generator=draw) * 0.1)
    return model.eval()


def awkward_batch(*, seed: int = 0, vocabulary: int = VOCABULARY, long: int = 70) -> Sequences:
    """Seven sequences: long shared prefixes, one a prefix of another, identical ones, a short one, ragged lengths."""
    rng = np.random.default_rng(seed)
    prefix = rng.integers(3, vocabulary, long)
    rows = [
        np.concatenate([prefix[:keep], rng.integers(3, vocabulary, more)])
        for keep, more in [(long, 9), (long, 20), (30, 1), (long, 0), (5, 40), (0, 2), (long, 3)]
    ]
    rows.append(rows[0].copy())
    weights = [np.concatenate([[0.0], rng.random(len(row) - 1) * (rng.random(len(row) - 1) > 0.3)]) for row in rows]
    weights[3][:] = 0
    weights[3][-1] = 2.0
    return Sequences.of((row.tolist(), w.tolist()) for row, w in zip(rows, weights, strict=True))
