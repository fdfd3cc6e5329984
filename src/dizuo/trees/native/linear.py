"""The products of a decoder layer: several projections of one input, with their LoRA adapters, in one step.

q, k and v read the same input, and so do gate and up; each such group is one matrix product. The weights of a group
are laid out in one storage and the module's own parameters become views of it, so that nothing is held twice and
saving, merging and optimising them work as before.

The backward pass is written out: frozen weights get no gradient buffers, and an adapter costs three thin products.

Shapes: T tokens, I inputs, O outputs of the whole group, r adapter rank.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dizuo.errors import ModelError
from dizuo.trees.casting import FrozenCast

__all__ = ["LinearGroup", "adapter_fault"]


def adapter_fault(module: Any) -> str | None:
    """Return why a projection cannot run natively, or None; plain `nn.Linear` and one PEFT LoRA adapter can."""
    if type(module) is nn.Linear:
        return None
    base = getattr(module, "base_layer", module)
    if type(base) is not nn.Linear and isinstance(base, nn.Linear):
        return f"{type(base).__name__} runs hosted"  # it has a forward of its own, such as one of quantised weights
    if not hasattr(module, "lora_A") or not isinstance(base, nn.Linear):
        return f"{type(module).__name__} is not a linear layer with LoRA"
    if any(getattr(module, "use_dora", {}).values()) or getattr(module, "lora_variant", None):
        return "DoRA and other LoRA variants run hosted"
    if any(getattr(drop, "p", 0.0) > 0 for drop in module.lora_dropout.values()):
        return "adapter dropout is not exact over shared tokens"
    if any(getattr(module, "lora_bias", {}).values()):
        return "an adapter bias runs hosted"
    return None


class _Adapter:
    """One LoRA pair of a projection, as PEFT keeps it."""

    __slots__ = ("a", "b", "scale")

    def __init__(self, a: nn.Parameter, b: nn.Parameter, scale: float) -> None:
        self.a, self.b, self.scale = a, b, scale


def _adds_nothing(pair: _Adapter) -> bool:
    """Return whether an adapter is untrained and nobody asks for its gradient: a reference pass before training.

    Only on a CPU: a GPU would have to be waited for.
    """
    return not torch.is_grad_enabled() and pair.b.device.type == "cpu" and not bool(pair.b.any())


class LinearGroup:
    """Projections of one input, computed together.

    Args:
        modules: `nn.Linear` or PEFT LoRA layers around them, all with the same number of inputs.
        dtype: dtype of the products; weights of another dtype are cast, once while they are frozen.
    """

    __slots__ = ("_cast", "_dtype", "_modules", "bounds", "linears")

    def __init__(self, modules: Sequence[nn.Module], *, dtype: torch.dtype) -> None:
        self._modules: tuple[Any, ...] = tuple(modules)
        self._dtype = dtype
        self.linears: tuple[nn.Linear, ...] = tuple(getattr(m, "base_layer", m) for m in self._modules)
        edges = [0]
        for linear in self.linears:
            edges.append(edges[-1] + linear.out_features)
        self.bounds = tuple(itertools.pairwise(edges))
        self._cast = FrozenCast()

    def __call__(self, x: Tensor) -> Tensor:
        """Map [T, I] to [T, O], the projections side by side."""
        adapters = [
            (bound, pair) for bound, pair in zip(self.bounds, self._adapters(), strict=True) if pair is not None
        ]
        matrix = self._weight_matrix()
        a = _adopt([pair.a for _, pair in adapters]).to(self._dtype) if adapters else None
        weights = [linear.weight for linear in self.linears]
        biases = [linear.bias for linear in self.linears]
        pairs = [tensor for _, pair in adapters for tensor in (pair.a, pair.b)]
        spans = tuple(bound for bound, _ in adapters)
        scales = tuple(pair.scale for _, pair in adapters)
        result: Tensor = _Group.apply(  # type: ignore[no-untyped-call]
            x, matrix, a, self.bounds, spans, scales, *weights, *biases, *pairs
        )
        return result

    def _adapters(self) -> list[_Adapter | None]:
        """Return each projection's active adapter, or None where it has none, is merged or switched off."""
        found: list[_Adapter | None] = []
        for module, linear in zip(self._modules, self.linears, strict=True):
            if module is linear or module.disable_adapters or module.merged:
                found.append(None)
                continue
            names = [name for name in module.active_adapters if name in module.lora_A]
            if len(names) > 1:
                raise ModelError(
                    f"the adapters {', '.join(names)} are active at once", hint="activate one, or set layout: padded"
                )
            pairs = [_Adapter(module.lora_A[n].weight, module.lora_B[n].weight, module.scaling[n]) for n in names]
            found.append(pairs[0] if pairs and not _adds_nothing(pairs[0]) else None)
        return found

    def _weight_matrix(self) -> Tensor:
        """[O, I] all weights of the group in the compute dtype."""
        weights: list[Any] = [linear.weight for linear in self.linears]
        matrix = _adopt(weights)
        if any(weight.requires_grad for weight in weights):
            return matrix.to(self._dtype)
        # PEFT merges adapters through `.data`, which leaves no trace in the version counter.
        merged = tuple(tuple(getattr(module, "merged_adapters", ())) for module in self._modules)
        return self._cast(matrix, self._dtype, *(weight._version for weight in weights), merged)


@torch.no_grad()
def _adopt(parameters: Sequence[nn.Parameter]) -> Tensor:
    """Return one matrix whose rows are the parameters' rows, making the parameters views of it where they are not."""
    first = parameters[0]
    rows, width = sum(parameter.shape[0] for parameter in parameters), first.shape[1]
    expected = first.data_ptr()
    for parameter in parameters:
        if parameter.data_ptr() != expected or parameter.dtype != first.dtype or not parameter.is_contiguous():
            break
        expected += parameter.nbytes
    else:
        return first.detach().as_strided((rows, width), (width, 1))
    storage = torch.cat([parameter.detach() for parameter in parameters])
    row = 0
    for parameter in parameters:
        parameter.data = storage[row : row + parameter.shape[0]]
        row += parameter.shape[0]
    return storage


class _Group(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        matrix: Tensor,
        a: Tensor | None,
        bounds: tuple[tuple[int, int], ...],
        spans: tuple[tuple[int, int], ...],
        scales: tuple[float, ...],
        *tensors: Tensor | None,
    ) -> Tensor:
        count = len(bounds)
        biases, pairs = tensors[count : 2 * count], tensors[2 * count :]
        y = x @ matrix.t()
        for (low, high), bias in zip(bounds, biases, strict=True):
            if bias is not None:
                y[:, low:high] += bias.to(y.dtype)
        xa = None
        if a is not None:
            xa = x @ a.t()
            row = 0
            for (low, high), b, scale in zip(spans, pairs[1::2], scales, strict=True):
                assert b is not None
                rank = b.shape[1]
                y[:, low:high].addmm_(xa[:, row : row + rank], b.to(x.dtype).t(), alpha=scale)
                row += rank
        ctx.save_for_backward(x, xa, matrix, a, *pairs[1::2])
        ctx.bounds, ctx.spans, ctx.scales = bounds, spans, scales
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, xa, matrix, a, *bs = ctx.saved_tensors
        bounds, scales, count = ctx.bounds, ctx.scales, len(ctx.bounds)
        needs_x, needs = ctx.needs_input_grad[0], ctx.needs_input_grad[6:]
        needs_weights, needs_biases, needs_pairs = needs[:count], needs[count : 2 * count], needs[2 * count :]
        precise = torch.promote_types(grad.dtype, torch.float32)
        d_x = grad @ matrix if needs_x else None
        d_weights = [
            (grad[:, low:high].t() @ x).to(precise) if need else None
            for need, (low, high) in zip(needs_weights, bounds, strict=True)
        ]
        d_biases = [
            grad[:, low:high].sum(0, dtype=precise) if need else None
            for need, (low, high) in zip(needs_biases, bounds, strict=True)
        ]
        d_pairs: list[Tensor | None] = []
        if a is not None:
            d_xa = torch.empty_like(xa)
            row = 0
            d_bs: list[Tensor | None] = []
            ranks: list[slice] = []
            for number, ((low, high), b, scale) in enumerate(zip(ctx.spans, bs, scales, strict=True)):
                span = slice(row, row + b.shape[1])
                dy = grad[:, low:high]
                torch.mm(dy, b.to(grad.dtype), out=d_xa[:, span]).mul_(scale)
                needed = needs_pairs[2 * number + 1]
                d_bs.append((dy.t() @ xa[:, span]).to(precise).mul_(scale) if needed else None)
                ranks.append(span)
                row = span.stop
            d_a = (d_xa.t() @ x).to(precise)
            for number, span in enumerate(ranks):
                d_pairs += [d_a[span] if needs_pairs[2 * number] else None, d_bs[number]]
            if d_x is not None:
                d_x.addmm_(d_xa, a)
        return (d_x, None, None, None, None, None, *d_weights, *d_biases, *d_pairs)
