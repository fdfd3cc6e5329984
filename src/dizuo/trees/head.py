"""Log-probabilities of chosen tokens without the [T, vocabulary] matrix.

Only hidden states that predict a trained token reach the vocabulary projection, a chunk of rows at a time, so memory is
bounded whatever the batch.

While the projection is frozen, the forward pass also computes what the backward pass multiplies: the gradient of a
log-probability in its hidden state, [D] per token, does not depend on the loss. Nothing of size V outlives its chunk.
Where the projection is trained, the softmax of a chunk is kept while all chunks together stay under `KEEP_BYTES`, and
computed again beyond that.

Shapes: R distinct predicting rows, E predicted tokens (several tokens may hang under one row), D hidden, V vocabulary;
of one chunk, r rows and e tokens.
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
    hidden_RD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, *, row_E: Tensor, token_E: Tensor, form: HeadForm
) -> Tensor:
    """Return log p(token | its row's hidden state), differentiable in hidden, weight and bias.

    Args:
        hidden_RD: hidden states after the final norm.
        weight_VD: vocabulary projection.
        bias_V: its bias, or None.
        row_E: which hidden state predicts each token, ascending.
        token_E: the predicted token ids.
        form: what the model does to its raw logits.

    Returns:
        [E] natural-log probabilities in float32 (float64 for a float64 model).
    """
    trained = weight_VD.requires_grad or (bias_V is not None and bias_V.requires_grad)
    function = _SelectedLogprobs if trained else _SelectedByFrozen
    logprobs_E: Tensor = function.apply(  # type: ignore[no-untyped-call]
        hidden_RD, weight_VD, bias_V, row_E, token_E, form
    )
    return logprobs_E


class _SelectedByFrozen(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        row_E: Tensor,
        token_E: Tensor,
        form: HeadForm,
    ) -> Tensor:
        num_rows, num_tokens = hidden_RD.shape[0], token_E.shape[0]
        precise = torch.promote_types(hidden_RD.dtype, torch.float32)
        logprobs_E = torch.empty(num_tokens, dtype=precise, device=hidden_RD.device)
        needed = ctx.needs_input_grad[0]
        gradient_ED = hidden_RD.new_empty(num_tokens if needed else 0, hidden_RD.shape[1])
        cast_VD = weight_VD.to(hidden_RD.dtype)
        for chunk in _chunks(row_E, num_rows):
            row_e, chosen_e, logits_rV, normaliser_r = _score_chunk(
                chunk, hidden_RD, cast_VD, bias_V, row_E, token_E, form, logprobs_E
            )
            if not needed:
                continue
            final = logits_rV.clone() if form.softcap is not None else None
            delta = logits_rV.sub_(normaliser_r[:, None]).exp_().neg_()
            number_e = torch.arange(len(row_e), device=row_E.device)
            if not torch.equal(row_e, number_e):  # several tokens under one row
                delta, final = delta[row_e], None if final is None else final[row_e]
            delta[number_e, chosen_e] += 1  # [e, V] from here on
            form.backward_(delta, final)
            *_, first, last = chunk
            torch.mm(delta.to(hidden_RD.dtype), cast_VD, out=gradient_ED[first:last])
        ctx.save_for_backward(row_E, gradient_ED)
        ctx.rows = num_rows
        return logprobs_E

    @staticmethod
    def backward(ctx: Any, grad_E: Tensor) -> tuple[Tensor | None, ...]:
        row_E, gradient_ED = ctx.saved_tensors
        each_ED = gradient_ED.to(grad_E.dtype) * grad_E[:, None]
        d_hidden_RD = each_ED.new_zeros(ctx.rows, each_ED.shape[1]).index_add_(0, row_E, each_ED)
        return d_hidden_RD.to(gradient_ED.dtype), None, None, None, None, None


class _SelectedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_RD: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        row_E: Tensor,
        token_E: Tensor,
        form: HeadForm,
    ) -> Tensor:
        num_rows = hidden_RD.shape[0]
        precise = torch.promote_types(hidden_RD.dtype, torch.float32)
        logprobs_E = torch.empty(token_E.shape[0], dtype=precise, device=hidden_RD.device)
        chunks = _chunks(row_E, num_rows)
        needed = any(ctx.needs_input_grad[:3])
        # The raw logits are needed too when a softcap bends them, so only the plain form keeps its softmax.
        keep = needed and form.softcap is None and num_rows * weight_VD.shape[0] * precise.itemsize <= KEEP_BYTES
        kept: list[Tensor] = []
        for chunk in chunks:
            _, _, logits_rV, normaliser_r = _score_chunk(
                chunk, hidden_RD, weight_VD, bias_V, row_E, token_E, form, logprobs_E
            )
            if keep:
                kept.append(logits_rV.sub_(normaliser_r[:, None]).exp_())
        ctx.save_for_backward(hidden_RD, weight_VD, bias_V, row_E, token_E, *kept)
        ctx.form, ctx.chunks, ctx.precise = form, chunks, precise
        return logprobs_E

    @staticmethod
    def backward(ctx: Any, grad_E: Tensor) -> tuple[Tensor | None, ...]:
        hidden_RD, weight_VD, bias_V, row_E, token_E, *kept = ctx.saved_tensors
        form: HeadForm = ctx.form
        needs_hidden, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        d_hidden_RD = torch.empty_like(hidden_RD) if needs_hidden else None
        d_weight_VD = torch.zeros_like(weight_VD, dtype=ctx.precise) if needs_weight else None
        d_bias_V = torch.zeros_like(bias_V, dtype=ctx.precise) if needs_bias and bias_V is not None else None
        for number, (low, high, first, last) in enumerate(ctx.chunks):
            row_e = row_E[first:last] - low
            grad_e = grad_E[first:last]
            grad_r = torch.zeros(high - low, dtype=grad_E.dtype, device=grad_E.device).index_add_(0, row_e, grad_e)
            logits_rV = None
            if kept:
                delta_rV = kept[number].mul_(-grad_r[:, None])
            else:
                logits_rV = _logits(hidden_RD[low:high], weight_VD, bias_V, form, ctx.precise)
                delta_rV = torch.softmax(logits_rV, -1).mul_(-grad_r[:, None])
            delta_rV.index_put_((row_e, token_E[first:last]), grad_e, accumulate=True)
            form.backward_(delta_rV, logits_rV)
            small_rV = delta_rV.to(hidden_RD.dtype)
            if d_hidden_RD is not None:
                torch.mm(small_rV, weight_VD.to(hidden_RD.dtype), out=d_hidden_RD[low:high])
            if d_weight_VD is not None:
                d_weight_VD.addmm_(small_rV.t().to(ctx.precise), hidden_RD[low:high].to(ctx.precise))
            if d_bias_V is not None:
                d_bias_V += delta_rV.sum(0)
        return (
            d_hidden_RD,
            None if d_weight_VD is None else d_weight_VD.to(weight_VD.dtype),
            None if d_bias_V is None else d_bias_V.to(bias_V.dtype),
            None,
            None,
            None,
        )


def _score_chunk(
    chunk: tuple[int, int, int, int], hidden_RD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, row_E: Tensor,
    token_E: Tensor, form: HeadForm, logprobs_E: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """Write a chunk's log-probabilities into `logprobs_E`.

    Returns:
        Of its tokens, the rows within the chunk [e] and the ids [e]; of its rows, the final logits [r, V] and their
        logsumexp [r].
    """
    low, high, first, last = chunk
    logits_rV = _logits(hidden_RD[low:high], weight_VD, bias_V, form, logprobs_E.dtype)
    normaliser_r = logits_rV.logsumexp(-1)
    row_e, chosen_e = row_E[first:last] - low, token_E[first:last]
    logprobs_E[first:last] = logits_rV[row_e, chosen_e] - normaliser_r[row_e]
    return row_e, chosen_e, logits_rV, normaliser_r


def _logits(
    hidden_rD: Tensor, weight_VD: Tensor, bias_V: Tensor | None, form: HeadForm, precise: torch.dtype
) -> Tensor:
    """Return the final logits [r, V]."""
    raw_rV = hidden_rD @ weight_VD.to(hidden_rD.dtype).t()
    if bias_V is not None:
        raw_rV = raw_rV + bias_V.to(raw_rV.dtype)
    return form.apply(raw_rV.to(precise))


def _chunks(row_E: Tensor, num_rows: int) -> list[tuple[int, int, int, int]]:
    """Cut the rows into chunks: (first row, one past the last row, first token, one past the last token)."""
    starts = list(range(0, num_rows, CHUNK_ROWS))
    edges = torch.searchsorted(row_E, torch.tensor([*starts, num_rows], device=row_E.device)).tolist()
    return [
        (low, min(low + CHUNK_ROWS, num_rows), edges[number], edges[number + 1]) for number, low in enumerate(starts)
    ]
