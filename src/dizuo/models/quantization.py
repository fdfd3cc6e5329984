"""Hold frozen base weights in 4 or 8 bits under an adapter (QLoRA). The only file that imports bitsandbytes.

nf4    blocks of 64 weights, each value one of 16 quantiles of a normal distribution times the block's largest; those
       largest values are quantised again in blocks of 256: 4.127 bits per weight. By bitsandbytes.
int8   each row of a matrix in whole numbers from −127 to 127, times the row's largest over 127

A quantised layer computes with exactly what its weights dequantise to, forward and backward, in the dtype of its input
and on every device: that is what is trained on, what `merging.merge` adds ΔW to, and what `dequantize` puts back as
plain weights for serving. (bitsandbytes' own int8 layers quantise the activations too; these do not.) The weights are
dequantised anew in each pass, so that only one layer's are there at a time.

References: Dettmers et al. 2023 (arXiv:2305.14314), "QLoRA", section 3; Dettmers et al. 2022 (arXiv:2208.07339),
section 3.1 (one scale per row; without its decomposition of outliers).
"""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dizuo.errors import ModelError

__all__ = ["KINDS", "QuantizedLinear", "dequantize", "find_fault", "make_plain_state", "quantize"]

KINDS = ("none", "nf4", "int8")
BLOCK = 64

# bitsandbytes announces, on processors with bfloat16, a kernel that is not used here (PEFT imports it, too).
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def find_fault(kind: str) -> str | None:
    """Return why weights cannot be quantised here, or None."""
    if kind == "nf4" and importlib.util.find_spec("bitsandbytes") is None:
        return 'bitsandbytes is not installed (pip install "dizuo[quantize]")'
    return None


class QuantizedLinear(nn.Linear):
    """A linear layer whose weights are held in 4 or 8 bits and get no gradient.

    Args:
        linear: the layer to quantise, float32.
        kind: `nf4` or `int8`.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, linear: nn.Linear, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = linear.in_features, linear.out_features, kind
        weight = linear.weight.detach().float()
        self._state: Any = None
        if kind == "nf4":
            from bitsandbytes import functional

            # A row per block: bitsandbytes 0.50 dequantises rows that are not whole blocks to wrong values, without an
            # error, on processors with AVX-512 (a third of the largest weight away).
            blocks = F.pad(weight.flatten(), (0, -weight.numel() % BLOCK)).view(-1, BLOCK)
            codes, self._state = functional.quantize_4bit(
                blocks, blocksize=BLOCK, quant_type="nf4", compress_statistics=True
            )
            self.register_buffer("codes", codes)
        else:
            scales = weight.abs().amax(1, keepdim=True) / 127
            self.register_buffer("scales", scales)
            self.register_buffer("codes", (weight / scales.clamp_min(1e-38)).round().to(torch.int8))
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach(), requires_grad=False)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """[O, I] what the weights dequantise to, float32; made anew at each call."""
        if self.kind == "int8":
            return self.codes.float() * self.scales
        from bitsandbytes import functional

        plain: Tensor = functional.dequantize_4bit(self.codes, self._state)
        return plain.flatten()[: self.out_features * self.in_features].view(self.out_features, self.in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., I] to [..., O]."""
        result: Tensor = _Product.apply(x, self)  # type: ignore[no-untyped-call]
        return result if self.bias is None else result + self.bias.to(result.dtype)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move with the module, but never change the codes' or scales' dtype."""
        device = fn(torch.empty(0)).device
        self.codes = self.codes.to(device)
        if self._state is not None:
            self._state.to(device)
        else:
            self.scales = self.scales.to(device)
        if self.bias is not None:
            self.bias.data = fn(self.bias.data)
        return self


class _Product(torch.autograd.Function):
    """x Wᵀ; the backward pass dequantises W again instead of keeping it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: QuantizedLinear) -> Tensor:
        ctx.layer, ctx.dtype = layer, x.dtype
        return F.linear(x, layer.weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return (grad @ ctx.layer.weight.to(grad.dtype)).to(ctx.dtype), None


def quantize(module: nn.Module, kind: str) -> None:
    """Quantise every linear layer of a language model in place, but its output layer.

    Args:
        module: of float32 weights.
        kind: `nf4`, `int8`, or `none`, which does nothing.

    Raises:
        ModelError: bitsandbytes is missing, there is no such kind, or the layers are of another sort (GPT-2's).
    """
    if kind not in KINDS:
        raise ModelError(f"no quantisation is called {kind!r}", hint=f"choose one of: {', '.join(KINDS)}")
    if kind == "none":
        return
    why = find_fault(kind)
    if why is not None:
        raise ModelError(f"weights cannot be quantised: {why}", hint="install it, or set quantize: none")
    output: Any = getattr(module, "get_output_embeddings", lambda: None)()
    chosen = [(name, part) for name, part in module.named_modules() if type(part) is nn.Linear and part is not output]
    if not chosen:
        raise ModelError(
            f"{type(module).__name__} has no plain linear layers to quantise", hint="set quantize: none for this model"
        )
    for name, part in chosen:
        _replace(module, name, QuantizedLinear(part, kind).eval())


def dequantize(module: nn.Module) -> None:
    """Put plain linear layers, holding what the quantised ones compute with, in their places."""
    for name, part in list(module.named_modules()):
        if isinstance(part, QuantizedLinear):
            plain = nn.Linear(part.in_features, part.out_features, bias=part.bias is not None, device="meta")
            plain.weight = nn.Parameter(part.weight, requires_grad=False)
            if part.bias is not None:
                plain.bias = part.bias
            _replace(module, name, plain.eval())


def make_plain_state(module: nn.Module) -> dict[str, Tensor]:
    """Return a module's state dict with quantised weights dequantised, under the names of plain linear layers."""
    out: dict[str, Tensor] = module.state_dict()
    for name, part in module.named_modules():
        if isinstance(part, QuantizedLinear):
            for buffer in ("codes", "scales"):
                out.pop(f"{name}.{buffer}", None)
            out[f"{name}.weight"] = part.weight
    return out


def _replace(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(module.get_submodule(parent), last, part)
