"""What a decoder layer does between its products: norms, residual sums and the gate, each in few passes over memory.

Shapes: T tokens, D features of the last dimension, I intermediate size.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["Activation", "add_norm", "gated", "head_norm"]

Activation = Literal["silu", "gelu_tanh"]


def head_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """Return x / rms(x) · weight over the last dimension (RMSNorm, Zhang & Sennrich 2019, eq. 4).

    Args:
        x: [..., D].
        weight: [D].
        epsilon: added to the mean square.
    """
    result: Tensor = _Norm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return result


def add_norm(residual: Tensor, update: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Return `residual + update` and its RMSNorm, with one backward step for both.

    Args:
        residual: [T, D].
        update: [T, D].
        weight: [D].
        epsilon: added to the mean square.
    """
    total, normed = _AddNorm.apply(residual, update, weight, epsilon)  # type: ignore[no-untyped-call]
    return total, normed


def gated(gate_up: Tensor, activation: Activation) -> Tensor:
    """Return activation(gate) · up (GLU variants, Shazeer 2020, section 2).

    Args:
        gate_up: [T, 2I] gate and up side by side.
        activation: `silu`, or `gelu_tanh` for the tanh approximation of GELU.

    Returns:
        [T, I].
    """
    result: Tensor = _Gated.apply(gate_up, activation)  # type: ignore[no-untyped-call]
    return result


def _norm_forward(x: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    precise = x.to(torch.promote_types(x.dtype, torch.float32))
    inverse = torch.linalg.vector_norm(precise, dim=-1, keepdim=True).square_()
    inverse = inverse.div_(x.shape[-1]).add_(epsilon).rsqrt_()
    return (precise * inverse).to(x.dtype).mul_(weight), inverse


def _norm_backward(grad: Tensor, x: Tensor, inverse: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the norm's input: r·g − x · r³/D · (g·x) with g = grad · weight."""
    g = (grad * weight).to(inverse.dtype)
    precise = x.to(inverse.dtype)
    along = torch.linalg.vecdot(g, precise).unsqueeze(-1)
    return g.mul_(inverse).addcmul_(precise, along * inverse.pow(3) / x.shape[-1], value=-1).to(x.dtype)


def _weight_gradient(grad: Tensor, x: Tensor, inverse: Tensor) -> Tensor:
    return (grad * (x.to(inverse.dtype) * inverse)).flatten(0, -2).sum(0).to(grad.dtype)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        out, inverse = _norm_forward(x, weight, epsilon)
        ctx.save_for_backward(x, inverse, weight)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, inverse, weight = ctx.saved_tensors
        d_weight = _weight_gradient(grad, x, inverse) if ctx.needs_input_grad[1] else None
        d_x = _norm_backward(grad, x, inverse, weight) if ctx.needs_input_grad[0] else None
        return d_x, d_weight, None


class _AddNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, residual: Tensor, update: Tensor, weight: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
        total = residual + update
        out, inverse = _norm_forward(total, weight, epsilon)
        ctx.save_for_backward(total, inverse, weight)
        return total, out

    @staticmethod
    def backward(ctx: Any, d_total: Tensor, d_out: Tensor) -> tuple[Tensor | None, ...]:
        total, inverse, weight = ctx.saved_tensors
        d_weight = _weight_gradient(d_out, total, inverse) if ctx.needs_input_grad[2] else None
        d_sum = _norm_backward(d_out, total, inverse, weight).add_(d_total)
        return d_sum, d_sum, d_weight, None


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_up: Tensor, activation: Activation) -> Tensor:
        gate, up = gate_up.chunk(2, -1)
        ctx.save_for_backward(gate_up)
        ctx.activation = activation
        return _activate(gate, activation).mul_(up)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (gate_up,) = ctx.saved_tensors
        gate, up = gate_up.chunk(2, -1)
        out = torch.empty_like(gate_up)
        d_gate, d_up = out.chunk(2, -1)
        torch.mul(grad, _activate(gate, ctx.activation), out=d_up)
        through = grad * up
        if ctx.activation == "silu":
            torch.ops.aten.silu_backward.grad_input(through, gate, grad_input=d_gate)
        else:
            torch.ops.aten.gelu_backward.grad_input(through, gate, approximate="tanh", grad_input=d_gate)
        return out, None


def _activate(gate: Tensor, activation: Activation) -> Tensor:
    if activation == "silu":
        return torch.nn.functional.silu(gate)
    return torch.nn.functional.gelu(gate, approximate="tanh")
