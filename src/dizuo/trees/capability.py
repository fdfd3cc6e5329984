"""Whether a model may run over a token tree at all: the rules that can be read off before anything is measured.

This is only the first half of the verdict: what passes is still measured on the real weights when it is loaded
(`choosing.py`), and a model that differs runs as padded batches. docs/concepts/token-tree.md lists what is refused.

Our attention functions, for the tree and for the engine, name what they handle and ignore what says nothing new. Any
other keyword with a value would change the result, so it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dizuo.errors import ModelError
from dizuo.models.capability import BYPASSES, RECURRENT, config_refusal

__all__ = ["refusal", "refuse_unknown_keywords"]

_IGNORED = {
    # What models pass to every attention function; positions, masks and caches of ours already say it all.
    "sliding_window", "position_ids", "use_cache", "output_attentions", "output_hidden_states", "is_causal",
    "cache_position", "position_embeddings", "layer_head_mask", "head_mask", "num_items_in_batch", "return_dict",
    "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "target_dtype", "deterministic",
    "logits_to_keep",
}  # fmt: skip


def refusal(module: Any) -> str | None:
    """Return why a transformers causal language model cannot run as a tree, or None.

    Args:
        module: a `PreTrainedModel`; PEFT wrappers must be taken off first.
    """
    config = module.config.get_text_config()
    if not getattr(config, "is_encoder_decoder", False):
        if not module._can_set_attn_implementation():
            return BYPASSES
        if getattr(module, "_is_stateful", False):
            return RECURRENT
    return config_refusal(config)


def refuse_unknown_keywords(module: Any, given: Mapping[str, Any]) -> None:
    """Refuse what a layer asks of its attention that ours does not know, such as a new kind of bias.

    Raises:
        ModelError: a keyword that is not ignored has a value.
    """
    strange = [name for name, value in given.items() if value is not None and name not in _IGNORED]
    if strange:
        raise ModelError(
            f"{type(module).__name__} asks its attention for {', '.join(strange)}, which is not known here"
        )
