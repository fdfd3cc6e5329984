"""Load the weights and the tokenizer of a `ModelSpec` into memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.errors import ModelError
from dizuo.models import finding, heads
from dizuo.models.spec import ModelSpec
from dizuo.models.templates import default_template
from dizuo.models.vocabulary import remember_reader

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["Model", "load", "load_module", "load_tokenizer", "model_folder", "read_weights"]


@dataclass(slots=True)
class Model:
    """A model in memory."""

    spec: ModelSpec
    module: PreTrainedModel
    """The causal language model, in evaluation mode, with no parameter requiring a gradient."""
    tokenizer: PreTrainedTokenizerFast
    """With a chat template."""
    quantize: str = "none"
    """How its linear layers are quantised, or were before they were made plain (`dizuo.models.quantization`)."""


def load(
    spec: ModelSpec, *, dtype: str = "float32", device: str = "cpu", quantize: str = "none", plain: bool = False
) -> Model:
    """Return the model's weights and tokenizer.

    Args:
        spec: from `inspect`.
        dtype: `"float32"`, `"bfloat16"` or `"float16"`; the weights on disk are cast.
        device: torch's name of a device.
        quantize: `"nf4"` or `"int8"` keeps the linear layers' weights in 4 or 8 bits and computes with what they
            dequantise to; `"none"` keeps them as they are.
        plain: hold what quantised weights dequantise to as plain weights: more memory, less work.

    Raises:
        ModelError: the folder is gone or damaged, or the model generates no text.
    """
    import torch
    from transformers import AutoModelForCausalLM

    folder = model_folder(spec)
    if not spec.capabilities.get("causal", True):
        raise ModelError(
            f"{spec.id} is an encoder ({spec.architecture}), which generates no text",
            hint="load it with dizuo.models.load_encoder, or choose a language model",
        )
    kind = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}.get(dtype)
    if kind is None:
        raise ModelError(f"no dtype is called {dtype!r}", hint="choose float32, bfloat16 or float16")
    tokenizer = load_tokenizer(spec)  # first: reading 262,144 tokens takes 400 MB for a moment
    module = load_module(AutoModelForCausalLM, folder, dtype=kind, optional=_unread_weights(folder))
    _give_output_layer(module, folder)
    if quantize != "none":
        from dizuo.models import quantization

        quantization.quantize(module, quantize)
        if plain:
            quantization.dequantize(module)
    if device != "cpu":
        module.to(device)
    return Model(spec, module, tokenizer, quantize)


def _unread_weights(folder: Path) -> str:
    """Return the output layer's name for a classifier's folder, which holds a head in its place."""
    return "lm_head." if (folder / heads.FILE).is_file() else ""


def _give_output_layer(module: Any, folder: Path) -> None:
    """Give a classifier's model the embedding as its output layer: nothing is generated with it, but a probe of how
    the model runs looks through it, and would see nothing through random or zero weights."""
    import torch

    head = module.get_output_embeddings()
    if _unread_weights(folder) and head is not None and head.weight is not module.get_input_embeddings().weight:
        with torch.no_grad():
            head.weight.copy_(module.get_input_embeddings().weight)


def load_tokenizer(spec: ModelSpec) -> PreTrainedTokenizerFast:
    """Return the model's tokenizer; a model without a chat template gets dizuo's default one.

    Raises:
        ModelError: the folder is gone, or has no fast tokenizer.
    """
    from transformers import AutoTokenizer

    folder = model_folder(spec)
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # transformers' own, tokenizers' and json's
        raise ModelError(
            f"the tokenizer in {folder} cannot be read: {(str(error).splitlines() or [''])[0][:200]}",
            hint="check that tokenizer.json is there and whole",
        ) from error
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(f"{folder} has no tokenizer.json", hint="save it with transformers' save_pretrained")
    if not tokenizer.chat_template and spec.capabilities.get("causal", True):
        _, tokenizer.chat_template = default_template(tokenizer.get_vocab().keys())
    loaded: PreTrainedTokenizerFast = tokenizer
    remember_reader(loaded, model=spec.id, num_rows=spec.vocab_size)
    return loaded


def model_folder(spec: ModelSpec) -> Path:
    """Return the folder of a spec's files, after checking that it is there and brings no code of its own."""
    folder = Path(spec.folder)
    if not spec.folder or not (folder / "config.json").is_file():
        raise ModelError(f"the files of {spec.id} are gone: {spec.folder}", hint=f"inspect {spec.source} again")
    finding.read_config(folder)
    return folder


def load_module(kind: Any, folder: Path, *, dtype: torch.dtype, optional: str = "") -> Any:
    """Return a transformers module with its weights, in evaluation mode, without gradients.

    The weights are read into memory, not mapped: a mapped file stays resident as a whole as long as one tensor of it
    is used, which costs a second copy of every weight that is moved or cast later (280 MB for SmolLM2-135M).

    Args:
        kind: an auto class of transformers.
        folder: with config.json and safetensors.
        dtype: of the weights in memory.
        optional: start of the names of weights that may be missing, because nothing reads them.

    Raises:
        ModelError: a weight is missing or has another shape, or transformers cannot build the model.
    """
    import torch
    from transformers import AutoConfig, GenerationConfig
    from transformers.utils import logging

    shown, verbosity = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()  # its report of missing weights; ours is an error
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):  # the public way to learn which class an auto class chooses
            shell = kind.from_config(config, trust_remote_code=False)
        module, report = type(shell).from_pretrained(
            None,
            config=shell.config,
            state_dict=read_weights(folder, upcast=dtype),
            dtype=dtype,
            output_loading_info=True,
        )
    except Exception as error:  # safetensors', transformers' and torch's
        raise ModelError(
            f"the weights in {folder} cannot be loaded: {(str(error).splitlines() or [''])[0][:200]}",
            hint="fetch the model again, or check that its architecture is one transformers knows",
        ) from error
    finally:
        logging.set_verbosity(verbosity)
        if shown:
            logging.enable_progress_bar()
    if missing := sorted(name for name in report["missing_keys"] if not (optional and name.startswith(optional))):
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of {type(module).__name__}",
            details=[*missing[:5], *(["…"] if len(missing) > 5 else [])],
            hint="fetch the model again",
        )
    if (folder / "generation_config.json").is_file() and hasattr(module, "generation_config"):
        module.generation_config = GenerationConfig.from_pretrained(str(folder), local_files_only=True)
    module.eval().requires_grad_(False)
    return module


def read_weights(folder: Path, *, upcast: torch.dtype) -> dict[str, torch.Tensor]:
    """Return every tensor of the safetensors files in a folder; 16-bit ones become `upcast` when that is float32."""
    import torch

    kinds = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
    kinds |= {"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8}
    kinds["BOOL"] = torch.bool
    out: dict[str, torch.Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        header, start = finding.read_header(path)
        with path.open("rb") as file:
            for name, value in header.items():
                tensor = torch.empty(value["shape"], dtype=kinds[value["dtype"]])
                file.seek(start + value["data_offsets"][0])
                if tensor.numel():
                    target: Any = tensor.view(-1).view(torch.uint8).numpy()
                    file.readinto(target)
                half = upcast == torch.float32 and tensor.dtype in (torch.float16, torch.bfloat16)
                out[name] = tensor.float() if half else tensor
    return out
