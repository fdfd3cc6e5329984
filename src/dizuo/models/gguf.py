"""Turn a GGUF file into an fp32 safetensors folder with tokenizer and template, once.

The dequantised fp32 tensors are the base model from then on: training, merging and serving all refer to them.
transformers reads the file (it knows each architecture's tensor order, such as the permuted q and k rows of llama),
but calls the result "quantized … not serializable", so the state dict is saved here.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dizuo.artifacts.writing import write_json
from dizuo.errors import ModelError
from dizuo.events import Note, Watcher, ignore
from dizuo.models.templates import default_template

__all__ = ["convert", "read_header"]

_HEADER = (
    "general.architecture",
    "general.license",
    "tokenizer.chat_template",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
)
# llama.cpp (llama-vocab.cpp) cuts these vocabularies at every digit before GPT-2's pattern. transformers 5.23 knows
# none of them and leaves digits joined to the space before them: "a  1" then has other tokens than in training.
_SINGLE_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
_GPT2_PATTERN = {
    "gpt-2",
    "phi-2",
    "olmo",
    "mpt",
    "jais",
    "jina-es",
    "jina-de",
    "jina-v2-es",
    "jina-v2-de",
    "roberta-bpe",
}


def convert(path: Path, folder: Path, *, watch: Watcher = ignore) -> list[str]:
    """Write config, fp32 safetensors, tokenizer and chat template of a GGUF into `folder` and return notes.

    Raises:
        ModelError: the file is damaged, or transformers cannot read its architecture.
    """
    header = read_header(path)
    watch(Note(f"turning {path.name} into fp32 safetensors, once"))
    with _quiet():
        module = _read_module(path, header)
        tokenizer = _read_tokenizer(path, header)
    notes = _prepare_tokenizer(tokenizer, header)
    tokenizer.model_max_length = int(module.config.max_position_embeddings)
    _save(module, folder)
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text("utf-8"))
    for name in ("is_local", "local_files_only"):
        config.pop(name, None)
    # transformers 5's own name for this class is unknown to transformers 4, which other engines still use.
    write_json(path, {**config, "tokenizer_class": "PreTrainedTokenizerFast"})
    return notes


def read_header(path: Path) -> dict[str, Any]:
    """Return the GGUF's architecture, name, licence, chat template and pre-tokenizer, where it states them.

    Raises:
        ModelError: it is not a GGUF, or is cut short.
    """
    from transformers.integrations.gguf.reader import read_gguf_metadata

    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ModelError(f"{path} is not a GGUF file", hint="give a .gguf file or a folder with safetensors")
    try:
        metadata, _ = read_gguf_metadata(str(path))
    except Exception as error:  # struct's, numpy's and the reader's own, all about damaged bytes
        raise ModelError(f"{path} is damaged: {error}", hint="fetch it again") from error
    return {name: metadata[name] for name in _HEADER if name in metadata}


def _read_module(path: Path, header: dict[str, Any]) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=torch.float32, local_files_only=True
        )
    except Exception as error:  # ValueError for architectures, anything for damaged tensors
        architecture = header.get("general.architecture", "unknown")
        raise ModelError(
            f"the GGUF {path.name} of architecture {architecture!r} cannot be read",
            details=[f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"],
            hint="use the model's safetensors version, or a newer transformers",
        ) from error


def _read_tokenizer(path: Path, header: dict[str, Any]) -> Any:
    from transformers import PreTrainedTokenizerFast

    try:
        # AutoTokenizer gives the same tokenizer.json, but reads the whole file again to choose a class: 5 to 15 s.
        return PreTrainedTokenizerFast.from_pretrained(str(path.parent), gguf_file=path.name, local_files_only=True)
    except Exception as error:
        raise ModelError(
            f"the tokenizer in {path.name} cannot be read",
            details=[f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"],
            hint="use the model's safetensors version, or a newer transformers",
        ) from error


def _prepare_tokenizer(tokenizer: Any, header: dict[str, Any]) -> list[str]:
    """Correct the pre-tokenizer, set the template, and return what a person should know."""
    from tokenizers import pre_tokenizers

    notes = []
    pre = header.get("tokenizer.ggml.pre")
    if pre in _SINGLE_DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
    elif header.get("tokenizer.ggml.model") == "gpt2" and pre not in _GPT2_PATTERN and not _known_split(pre):
        notes.append(f"pre-tokenizer {pre!r} is unknown here: text may be cut into other tokens than in pretraining")
    if template := header.get("tokenizer.chat_template"):
        tokenizer.chat_template = template
    elif not tokenizer.chat_template:
        name, tokenizer.chat_template = default_template(tokenizer.get_vocab().keys())
        notes.append(f"the model has no chat template; dizuo's default {name!r} is used")
    return notes


def _known_split(pre: str | None) -> bool:
    """Say whether transformers has the split pattern of a pre-tokenizer."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:
        return False
    return pre in GGUF_PRE_TOKENIZER_SPLITS


def _save(module: Any, folder: Path) -> None:
    from safetensors.torch import save_file

    tied = set(getattr(module, "_tied_weights_keys", None) or ()) if module.config.tie_word_embeddings else set()
    tensors = {name: tensor.contiguous() for name, tensor in module.state_dict().items() if name not in tied}
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o444)
    config = module.config.to_dict()
    for name in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(name, None)
    write_json(folder / "config.json", {**config, "architectures": [type(module).__name__]})
    generation = json.loads(module.generation_config.to_json_string())
    write_json(folder / "generation_config.json", generation)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' progress bars off the terminal; the library tells its watcher instead."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield
