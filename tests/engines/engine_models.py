"""Tiny random models: real architectures, a few thousand weights, built in milliseconds."""

from __future__ import annotations

from typing import Any

import torch

CONTEXT = 512
SHAPE = {
    "vocab_size": 211,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def tiny(kind: str, **changes: Any) -> Any:
    """Return a tiny random causal language model; initialised wide, so that greedy answers vary."""
    import transformers as t

    torch.manual_seed(7)
    shape = {**SHAPE, "initializer_range": 0.3, **changes}
    if kind == "gpt2":
        config: Any = t.GPT2Config(
            vocab_size=211, n_embd=32, n_layer=3, n_head=4, n_positions=CONTEXT, initializer_range=0.3
        )
    elif kind == "bloom":
        config = t.BloomConfig(vocab_size=211, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    elif kind == "mamba":
        config = t.MambaConfig(vocab_size=211, hidden_size=32, num_hidden_layers=2, state_size=4)
    else:
        names = {
            "llama": t.LlamaConfig,
            "qwen2": t.Qwen2Config,
            "qwen3": t.Qwen3Config,
            "mistral": t.MistralConfig,
            "gemma3": t.Gemma3TextConfig,
            "phi3": t.Phi3Config,
        }
        config = names[kind](**shape)
    attention = None if kind in {"bloom", "mamba"} else "sdpa"
    return t.AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()


def greedy(module: Any, prompt: list[int], count: int) -> list[int]:
    """The reference: the whole sequence through the plain model for every token; no cache, no batch."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            ids.append(int(module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]
