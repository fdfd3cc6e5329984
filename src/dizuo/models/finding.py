"""Find the model inside a folder (one GGUF file, or a folder with config.json and safetensors) and read its headers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dizuo.artifacts.digests import list_tree
from dizuo.errors import ModelError

__all__ = ["find", "read_config", "read_header", "read_json"]

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack")


def find(path: Path, *, address: str) -> Path:
    """Return the `.gguf` file, or the folder with `config.json` and safetensors, that a path holds.

    Raises:
        ModelError: there is none, there are several, or the weights are in a format that could run code.
    """
    if path.is_file():
        if path.suffix == ".gguf":
            return path
        raise ModelError(
            f"{address} is a file, but not a GGUF",
            hint="give the folder that has config.json and the .safetensors files, or a .gguf file",
        )
    names = list_tree(path)
    ggufs = [name for name in names if name.endswith(".gguf") and not re.search(r"mmproj|-of-\d{5}", name)]
    folders = {name.rpartition("/")[0] for name in names if name.rsplit("/", 1)[-1] == "config.json"}
    models = sorted(folder for folder in folders if _list_weights(path / folder))
    candidates = [path / name for name in ggufs] + [path / folder for folder in models]
    if len(candidates) == 1:
        return candidates[0]
    if (path in candidates and not ggufs) or ((path / "config.json").is_file() and path in candidates):
        return path  # a model folder with further models below it
    if candidates:
        listed = sorted(str(item.relative_to(path)) or "." for item in candidates)
        raise ModelError(
            f"{address} holds {len(candidates)} models",
            details=[*listed[:12], *(["…"] if len(listed) > 12 else [])],
            hint="add one of these paths to the address",
        )
    if any(re.search(r"-of-\d{5}\.gguf$", name) for name in names):
        raise ModelError(
            f"{address} holds a GGUF that is split into several files, which cannot be read",
            hint="join it with llama-gguf-split --merge",
        )
    if pickles := [name for name in names if name.endswith(_PICKLES)]:
        raise ModelError(
            f"{address} has its weights only as {pickles[0]}, a format that can run code when read",
            hint="choose a version with .safetensors files, or convert it on a machine you can throw away",
        )
    what = "config.json but no .safetensors files" if folders else "neither a .gguf file nor a config.json"
    raise ModelError(f"{address} is not a model: it has {what}", hint="check the address, or add the inner path to it")


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json.

    Raises:
        ModelError: it cannot be read, or the model needs code of its own (`auto_map`).
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be read: {error}", hint="fetch the model again") from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise ModelError(f"{folder / 'config.json'} names no model_type", hint="check that this is a model's folder")
    tokenizer = folder / "tokenizer_config.json"
    for file, value in (("config.json", config), ("tokenizer_config.json", read_json(tokenizer))):
        if value.get("auto_map"):
            raise ModelError(
                f"the model in {folder} brings Python code of its own (auto_map in {file}), which is never run",
                hint="choose a model whose architecture transformers itself has",
            )
    return config


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the header of a safetensors file (name to dtype, shape, data_offsets) and where the data starts.

    Raises:
        ModelError: it is no safetensors file, or has another size than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            if not 2 <= length <= min(size, 2**28):
                raise ValueError
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max((int(value["data_offsets"][1]) for value in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} is not a safetensors file", hint="fetch the model again") from error
    if 8 + length + end != size:
        raise ModelError(
            f"{path} is cut short: it has {size:,} bytes of {8 + length + end:,}", hint="fetch the model again"
        )
    return header, 8 + length


def _list_weights(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.safetensors"))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; an empty one where there is no such file, or something else in it."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
