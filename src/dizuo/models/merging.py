"""Where an adapter is merged into the weights: W + ΔW in float32, whatever the base weights are held in.

    lora, rslora   W + s B A
    dora           m (W + s B A) / ‖W + s B A‖, row by row

The result is a plain model, which transformers loads and every engine serves. (Equations: `adapters.py`.)
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.artifacts.writing import whole_folder
from dizuo.errors import ModelError
from dizuo.models import heads, quantization
from dizuo.models.heads import HeadFacts

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

__all__ = ["merge", "save_merged"]


def merge(model: PeftModel) -> dict[str, torch.Tensor]:
    """Return the state dict of the base model with every ΔW added in fp32; the model itself is not changed.

    Quantised weights are what they dequantise to, in fp32: those are what was trained on. DoRA's are rescaled to their
    learned magnitudes after ΔW was added.

    Names are those of the base model. Tied weights appear once, unless an adapter changes one of the two alone, as one
    on the embeddings does: the output layer then stays as it was and appears under its own name. Each tensor keeps the
    dtype of its base weight.

    Raises:
        ModelError: the adapter holds something that is not a ΔW of one weight, such as a trained bias.
    """
    base: Any = model.get_base_model()
    deltas, magnitudes = _read_deltas(base, model.active_adapter)
    tied = _find_tied(base)
    out = {}
    for name, tensor in quantization.make_plain_state(base).items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        if plain in tied and not deltas.keys() & {plain, tied[plain]}:
            continue
        weight = tensor.detach()
        if plain in deltas:
            moved = weight.float() + deltas[plain]
            if plain in magnitudes:
                magnitude, norm_of = magnitudes[plain]
                moved = moved * (magnitude / moved.norm(dim=norm_of)).unsqueeze(norm_of)
            weight = moved.to(weight.dtype)
        out[plain] = weight
    assert deltas.keys() <= out.keys(), f"no weight for {sorted(deltas.keys() - out.keys())}"
    return out


def save_merged(
    model: PeftModel,
    folder: str | Path,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    head: tuple[torch.Tensor, HeadFacts] | None = None,
    replace: bool = False,
) -> None:
    """Write the merged model as safetensors with its config, reloadable by transformers; whole or not at all.

    Tied weights that the adapter made different are saved apart, and the config says so. With a head (its weight
    [K, D] and facts) it is transformers' `…ForSequenceClassification` of the model, and needs the tokenizer.
    """
    from safetensors.torch import save_file

    base: Any = model.get_base_model()
    tensors = {name: tensor.contiguous() for name, tensor in merge(model).items()}
    config = copy.deepcopy(base.config)
    if head is not None:
        assert tokenizer is not None
        tensors = heads.make_classifier_state(tensors, head[0])
        config = heads.make_classifier_config(base, head[1], pad_token_id=tokenizer.pad_token_id)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    if tensors.keys() & _find_tied(base).keys():
        for part in (config, config.get_text_config()):
            part.tie_word_embeddings = False
    with whole_folder(folder, replace=replace) as partial:
        save_file(tensors, str(partial / "model.safetensors"), metadata={"format": "pt"})
        (partial / "model.safetensors").chmod(0o644)  # safetensors makes it private
        config.save_pretrained(str(partial))
        base.generation_config.save_pretrained(str(partial))
        if tokenizer is not None:
            tokenizer.save_pretrained(str(partial))


def _read_deltas(base: Any, adapter: str) -> tuple[dict[str, torch.Tensor], dict[str, tuple[torch.Tensor, int]]]:
    """Return ΔW in fp32 by the name of its weight, and DoRA's magnitudes with the dimension their norm runs over.

    Every tensor of the adapter is read, or the adapter refused.
    """
    deltas: dict[str, torch.Tensor] = {}
    magnitudes: dict[str, tuple[torch.Tensor, int]] = {}
    read: set[int] = set()
    for name, part in base.named_modules():
        embedding = adapter in getattr(part, "lora_embedding_A", {})
        if adapter in getattr(part, "lora_A", {}):
            down, up = part.lora_A[adapter].weight, part.lora_B[adapter].weight
            turned = getattr(part, "fan_in_fan_out", False)
        elif embedding:
            down, up = part.lora_embedding_A[adapter], part.lora_embedding_B[adapter]
            turned = True  # an embedding's weight is [vocabulary, hidden], its adapter's product the other way round
        else:
            continue
        plain = down.ndim == 2 and hasattr(part.base_layer, "weight") and not hasattr(part, "parameter_name")
        variant = getattr(part, "lora_variant", {}).get(adapter)
        magnitude = getattr(part, "lora_magnitude_vector", {})
        dora = type(variant).__name__.startswith("Dora") and adapter in magnitude and not embedding
        if not plain or (variant is not None and not dora):
            continue
        delta = up.detach().float() @ down.detach().float() * part.scaling[adapter]
        deltas[f"{name}.weight"] = delta.T if turned else delta
        read |= {id(down), id(up)}
        if dora:
            weight = magnitude[adapter].weight
            magnitudes[f"{name}.weight"] = (weight.detach().float(), 0 if turned else 1)
            read.add(id(weight))
    rest = [
        name
        for name, parameter in base.named_parameters(remove_duplicate=False)
        if (".lora_" in name or ".modules_to_save." in name)
        and adapter in name.split(".")
        and id(parameter) not in read
    ]
    if rest:
        raise ModelError(
            f"the adapter cannot be merged: {len(rest)} of its tensors are not plain LoRA or DoRA of one weight",
            details=[*rest[:5], *(["…"] if len(rest) > 5 else [])],
            hint="serve the adapter beside its model, or merge it with PEFT",
        )
    return deltas, magnitudes


def _find_tied(module: Any) -> dict[str, str]:
    """Return the names of weights that are another weight under a second name, with that weight's name."""
    if not module.config.get_text_config().tie_word_embeddings:
        return {}
    return dict(module._tied_weights_keys or {})
