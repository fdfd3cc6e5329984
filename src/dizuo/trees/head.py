"""Log-probabilities of chosen tokens without the [T, vocabulary] matrix.

Only hidden states that predict a trained token reach the vocabulary projection, a chunk of rows at a time, so memory is
bounded whatever the batch.

While the projection is frozen, the forward pass also computes what the backward pass multiplies: the gradient of a
log-probability in its hidden state, [D] per token, does not depend on the loss. Nothing of size V outlives its chunk.
Where the projection is trained, the softmax of a chunk is kept while all chunks together stay under `KEEP_BYTES`, and
computed again beyond that.

Shapes: R distinct predicting rows, E predicted tokens (several tokens may hang under one row), D hidden, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

__all__ = ["HeadForm", "selected_logprobs"]

CHUNK_ROWS = 256
"""Rows of the vocabulary projection computed at a time: 256 × 49,152 fp32 logits are 50 MB."""
KEEP_BYTES = 128 << 20
"""How much softmax may be kept for the backward pass."""


class HeadForm:
    """What a model does to `hidden @ weightᵀ + bias` before the softmax: `softcap · tanh(scale · logits / softcap)`."""

    __slots__ = ("scale", "softcap")

    def __init__(self, *, scale: float = 1.0, softcap: float | None = None) -> None:
        self.scale = scale
        self.softcap = softcap

    def apply(self, logits: Tensor) -> Tensor:
        """Change raw logits in place and return them."""
        if self.scale != 1.0:
            logits.mul_(self.scale)
        if self.softcap is not None:
            logits.div_(self.softcap).tanh_().mul_(self.softcap)
        return logits

    def backward_(self, grad: Tensor, logits: Tensor | None) -> Tensor:
        """Turn the gradient of the final logits into that of the raw ones, in place.

        Args:
            grad: of the final logits.
            logits: the final logits, needed where a softcap bends them.
        """
        if self.softcap is not None:
            assert logits is not None
            grad.mul_(1 - (logits / self.softcap).square())
        if self.scale != 1.0:
            grad.mul_(self.scale)
        return grad


def selected_logprobs(
    hidden: Tensor, weight: Tensor, bias: Tensor | None, *, row: Tensor, token: Tensor, form: HeadForm
) -> Tensor:
    """Return log p(token | its row's hidden state), differentiable in hidden, weight and bias.

    Args:
        hidden: [R, D] hidden states after the final norm.
        weight: [V, D] vocabulary projection.
        bias: [V] or None.
        row: [E] which hidden state predicts each token, ascending.
        token: [E] the predicted token ids.
        form: what the model does to its raw logits.

    Returns:
        [E] natural-log probabilities in float32 (float64 for a float64 model).
    """
    trained = weight.requires_grad or (bias is not None and bias.requires_grad)
    function = _SelectedLogprobs if trained else _SelectedByFrozen
    result: Tensor = function.apply(hidden, weight, bias, row, token, form)  # type: ignore[no-untyped-call]
    return result


class _SelectedByFrozen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, row: Tensor, token: Tensor, form: HeadForm
    ) -> Tensor:
        rows = hidden.shape[0]
        precise = torch.promote_types(hidden.dtype, torch.float32)
        out = torch.empty(token.shape[0], dtype=precise, device=hidden.device)
        needed = ctx.needs_input_grad[0]
        gradient = hidden.new_empty(token.shape[0] if needed else 0, hidden.shape[1])
        cast = weight.to(hidden.dtype)
        for chunk in _chunks(row, rows):
            local, chosen, logits, normaliser = _scored(chunk, hidden, cast, bias, row, token, form, out)
            if not needed:
                continue
            final = logits.clone() if form.softcap is not None else None
            delta = logits.sub_(normaliser[:, None]).exp_().neg_()
            number = torch.arange(len(local), device=row.device)
            if not torch.equal(local, number):  # several tokens under one row
                delta, final = delta[local], None if final is None else final[local]
            delta[number, chosen] += 1
            form.backward_(delta, final)
            *_, first, last = chunk
            torch.mm(delta.to(hidden.dtype), cast, out=gradient[first:last])
        ctx.save_for_backward(row, gradient)
        ctx.rows = rows
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        row, gradient = ctx.saved_tensors
        each = gradient.to(grad.dtype) * grad[:, None]
        d_hidden = each.new_zeros(ctx.rows, each.shape[1]).index_add_(0, row, each)
        return d_hidden.to(gradient.dtype), None, None, None, None, None


class _SelectedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, row: Tensor, token: Tensor, form: HeadForm
    ) -> Tensor:
        rows = hidden.shape[0]
        precise = torch.promote_types(hidden.dtype, torch.float32)
        out = torch.empty(token.shape[0], dtype=precise, device=hidden.device)
        bounds = _chunks(row, rows)
        needed = any(ctx.needs_input_grad[:3])
        # The raw logits are needed too when a softcap bends them, so only the plain form keeps its softmax.
        keep = needed and form.softcap is None and rows * weight.shape[0] * precise.itemsize <= KEEP_BYTES
        kept: list[Tensor] = []
        for chunk in bounds:
            _, _, logits, normaliser = _scored(chunk, hidden, weight, bias, row, token, form, out)
            if keep:
                kept.append(logits.sub_(normaliser[:, None]).exp_())
        ctx.save_for_backward(hidden, weight, bias, row, token, *kept)
        ctx.form, ctx.bounds, ctx.precise = form, bounds, precise
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, row, token, *kept = ctx.saved_tensors
        form: HeadForm = ctx.form
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        d_hidden = torch.empty_like(hidden) if needs_hidden else None
        d_weight = torch.zeros_like(weight, dtype=ctx.precise) if needs_weight else None
        d_bias = torch.zeros_like(bias, dtype=ctx.precise) if needs_bias and bias is not None else None
        for number, (low, high, first, last) in enumerate(ctx.bounds):
            local = row[first:last] - low
            upstream = grad[first:last]
            per_row = torch.zeros(high - low, dtype=grad.dtype, device=grad.device).index_add_(0, local, upstream)
            logits = None
            if kept:
                delta = kept[number].mul_(-per_row[:, None])
            else:
                logits = _logits(hidden[low:high], weight, bias, form, ctx.precise)
                delta = torch.softmax(logits, -1).mul_(-per_row[:, None])
            delta.index_put_((local, token[first:last]), upstream, accumulate=True)
            form.backward_(delta, logits)
            small = delta.to(hidden.dtype)
            if d_hidden is not None:
                torch.mm(small, weight.to(hidden.dtype), out=d_hidden[low:high])
            if d_weight is not None:
                d_weight.addmm_(small.t().to(ctx.precise), hidden[low:high].to(ctx.precise))
            if d_bias is not None:
                d_bias += delta.sum(0)
        return (
            d_hidden,
            None if d_weight is None else d_weight.to(weight.dtype),
            None if d_bias is None else d_bias.to(bias.dtype),
            None,
            None,
            None,
        )


def _scored(
    chunk: tuple[int, int, int, int], hidden: Tensor, weight: Tensor, bias: Tensor | None, row: Tensor, token: Tensor,
    form: HeadForm, out: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Write a chunk's log-probabilities into `out`.

    Returns:
        Of its tokens, the rows within the chunk and the ids; of its rows, the final logits and their logsumexp.
    """
    low, high, first, last = chunk
    logits = _logits(hidden[low:high], weight, bias, form, out.dtype)
    normaliser = logits.logsumexp(-1)
    local, chosen = row[first:last] - low, token[first:last]
    out[first:last] = logits[local, chosen] - normaliser[local]
    return local, chosen, logits, normaliser


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, form: HeadForm, precise: torch.dtype) -> Tensor:
    raw = hidden @ weight.to(hidden.dtype).t()
    if bias is not None:
        raw = raw + bias.to(raw.dtype)
    return form.apply(raw.to(precise))


def _chunks(row: Tensor, rows: int) -> list[tuple[int, int, int, int]]:
    """Cut the rows into chunks: (first row, one past the last row, first token, one past the last token)."""
    starts = list(range(0, rows, CHUNK_ROWS))
    edges = torch.searchsorted(row, torch.tensor([*starts, rows], device=row.device)).tolist()
    return [(low, min(low + CHUNK_ROWS, rows), edges[number], edges[number + 1]) for number, low in enumerate(starts)]
