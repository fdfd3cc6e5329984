"""What a configuration alone says about running over a token tree; `dizuo.trees` measures the rest on the weights.

`config_refusal` holds for every model of a configuration and serves both rooms. Before there are weights to ask, the
names of architectures stand in for what a module would say of itself (`tree_refusal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

__all__ = ["BYPASSES", "NATIVE", "RECURRENT", "config_refusal", "tree_refusal"]

BYPASSES = "its attention bypasses transformers' attention interface, so layers cannot be isolated"
NATIVE = frozenset({"llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3_text"})
"""transformers' model types for which `dizuo.trees` has a forward of its own, on CPUs."""
RECURRENT = "it carries recurrent state from token to token"
_OWN_ATTENTION = {"bloom", "mpt", "falcon", "gptj", "gpt_neo", "codegen", "xglm"}
_LAYER_TYPES = {"full_attention", "sliding_attention", "chunked_attention", "attention"}
_RECURRENT = {"mamba", "mamba2", "rwkv", "recurrent_gemma", "jamba", "zamba", "zamba2", "xlstm", "falcon_mamba"}


def tree_refusal(config: PretrainedConfig) -> str | None:
    """Return why a model of this transformers text configuration cannot run as a tree, or None."""
    kind = str(config.model_type)
    if not getattr(config, "is_encoder_decoder", False):
        if kind in _OWN_ATTENTION:
            return BYPASSES
        if kind in _RECURRENT:
            return RECURRENT
    return config_refusal(config)


def config_refusal(config: PretrainedConfig) -> str | None:
    """Return what in a text configuration rules a tree out, whatever the module is, or None."""
    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder–decoder"
    strange = set(getattr(config, "layer_types", None) or ()) - _LAYER_TYPES
    if strange:
        return f"it has layers of type {', '.join(sorted(strange))}, which mix neighbouring tokens"
    if getattr(config, "use_bidirectional_attention", False):
        return "its attention is bidirectional"
    if getattr(config, "attn_temperature_tuning", None):
        return "its attention is tempered by the packed position"
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = {rope.get("rope_type")} | {value.get("rope_type") for value in rope.values() if isinstance(value, dict)}
    moving = kinds & {"dynamic", "longrope"}
    if moving:
        return f"its rotary embedding ({moving.pop()}) depends on the longest position of the batch"
    return None
