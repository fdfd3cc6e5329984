"""Attention over a token tree: exact, in batched matrix products over row blocks.

Queries are cut into blocks, each block gathers the keys it sees (`blocks.py`), and the query heads that share a key
head are folded into the rows of one product. No [T, T] matrix exists; work grows with what is visible, not with T².

Shapes: T packed tokens, Q answered queries (T unless chosen), H query heads, N key heads, G = H / N, D head size,
A = H + N heads that are rotated, Z = H + 2N heads of queries, keys and values together;
B blocks of R rows and K keys, whose products are X = B · N matrices with Y = R · G rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dizuo.trees.attention.blocks import Blocks

__all__ = ["BlockPlan", "block_attention", "packed_attention"]


class BlockPlan:
    """Blocks on a device, with the additive masks that every layer of one forward pass shares."""

    __slots__ = ("_bias", "buckets", "num_queries", "num_tokens")

    def __init__(self, blocks: Blocks, device: torch.device | str = "cpu") -> None:
        self.num_tokens = blocks.num_tokens
        self.num_queries = blocks.num_queries
        self.buckets = tuple(bucket.to(device) for bucket in blocks.buckets)
        self._bias: dict[tuple[int, int, int, torch.dtype], Tensor] = {}

    def bias(self, number: int, key_heads: int, fold: int, dtype: torch.dtype) -> Tensor:
        """Return [X, Y, K] zero where visible, minus infinity elsewhere, for the bucket of a number; it is kept."""
        bias_XYK = self._bias.get((number, key_heads, fold, dtype))
        if bias_XYK is None:
            hidden_BRK = self.buckets[number].hidden
            B, R, K = hidden_BRK.shape
            zero_BRK = torch.zeros(hidden_BRK.shape, dtype=dtype, device=hidden_BRK.device)
            bias_BRK = zero_BRK.masked_fill_(hidden_BRK, float("-inf"))
            bias_XYK = (
                bias_BRK[:, None, :, None, :].expand(B, key_heads, R, fold, K).reshape(B * key_heads, R * fold, K)
            )
            self._bias[number, key_heads, fold, dtype] = bias_XYK
        return bias_XYK


def block_attention(query_THD: Tensor, key_TND: Tensor, value_TND: Tensor, *, plan: BlockPlan, scale: float) -> Tensor:
    """Return softmax(scale · q kᵀ over visible keys) v, differentiable in all three.

    Args:
        query_THD: queries after rotary embedding.
        key_TND: keys; query head h reads key head h // (H / N).
        value_TND: values.
        plan: which keys each block of queries gathers.
        scale: what scores are multiplied by, usually D ** -0.5.

    Returns:
        [Q, H, D].
    """
    out_QHD: Tensor = _BlockAttention.apply(query_THD, key_TND, value_TND, plan, scale)  # type: ignore[no-untyped-call]
    return out_QHD


def packed_attention(
    qkv_TZD: Tensor, cos_TD: Tensor | None, sin_TD: Tensor | None, *, key_heads: int, plan: BlockPlan, scale: float
) -> Tensor:
    """Rotate queries and keys by their positions and attend, in one step with one backward buffer.

    Args:
        qkv_TZD: queries, keys and values of every token before rotary embedding.
        cos_TD: [T, D / 2] of the half-split ("NeoX") rotary form; None for layers without positions.
        sin_TD: [T, D / 2].
        key_heads: N.
        plan: which keys each block of queries gathers.
        scale: what scores are multiplied by.

    Returns:
        [Q, H, D].
    """
    out_QHD: Tensor = _PackedAttention.apply(  # type: ignore[no-untyped-call]
        qkv_TZD, cos_TD, sin_TD, key_heads, plan, scale
    )
    return out_QHD


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, query_THD: Tensor, key_TND: Tensor, value_TND: Tensor, plan: BlockPlan, scale: float
    ) -> Tensor:
        out_QHD, saved = _attend(query_THD, key_TND, value_TND, plan, scale)
        ctx.save_for_backward(*saved)
        ctx.plan, ctx.scale, ctx.key_heads = plan, scale, key_TND.shape[1]
        return out_QHD

    @staticmethod
    def backward(ctx: Any, grad_QHD: Tensor) -> tuple[Tensor | None, ...]:
        d_query_THD, d_key_TND, d_value_TND = _attend_backward(
            grad_QHD, ctx.saved_tensors, ctx.plan, ctx.scale, ctx.key_heads
        )
        return d_query_THD, d_key_TND.to(grad_QHD.dtype), d_value_TND.to(grad_QHD.dtype), None, None


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        qkv_TZD: Tensor,
        cos_TD: Tensor | None,
        sin_TD: Tensor | None,
        key_heads: int,
        plan: BlockPlan,
        scale: float,
    ) -> Tensor:
        rotated = qkv_TZD.shape[1] - key_heads
        heads = rotated - key_heads
        qk_TAD = qkv_TZD[:, :rotated]
        if cos_TD is not None and sin_TD is not None:
            qk_TAD = _rotate(qk_TAD, cos_TD, sin_TD)
        out_QHD, saved = _attend(qk_TAD[:, :heads], qk_TAD[:, heads:], qkv_TZD[:, rotated:], plan, scale)
        ctx.save_for_backward(cos_TD, sin_TD, *saved)
        ctx.plan, ctx.scale, ctx.key_heads, ctx.shape = plan, scale, key_heads, qkv_TZD.shape
        return out_QHD

    @staticmethod
    def backward(ctx: Any, grad_QHD: Tensor) -> tuple[Tensor | None, ...]:
        cos_TD, sin_TD, *saved = ctx.saved_tensors
        d_query_THD, d_key_TND, d_value_TND = _attend_backward(grad_QHD, saved, ctx.plan, ctx.scale, ctx.key_heads)
        d_qkv_TZD = torch.empty(ctx.shape, dtype=grad_QHD.dtype, device=grad_QHD.device)
        heads = d_query_THD.shape[1]
        rotated = heads + ctx.key_heads
        if cos_TD is None:
            d_qkv_TZD[:, :heads], d_qkv_TZD[:, heads:rotated] = d_query_THD, d_key_TND
        else:
            _rotate(d_query_THD, cos_TD, -sin_TD, out=d_qkv_TZD[:, :heads])
            _rotate(d_key_TND.to(grad_QHD.dtype), cos_TD, -sin_TD, out=d_qkv_TZD[:, heads:rotated])
        d_qkv_TZD[:, rotated:] = d_value_TND
        return d_qkv_TZD, None, None, None, None, None


def _attend(
    query_THD: Tensor, key_TND: Tensor, value_TND: Tensor, plan: BlockPlan, scale: float
) -> tuple[Tensor, list[Tensor]]:
    """Return the output [Q, H, D] and what the backward pass needs: q, k, v and probabilities of each bucket."""
    _, heads, size = query_THD.shape
    key_heads = key_TND.shape[1]
    fold = heads // key_heads
    out_QHD = query_THD.new_empty(plan.num_queries, heads, size)
    saved: list[Tensor] = []
    for number, bucket in enumerate(plan.buckets):
        q_XYD = _fold_rows(query_THD, bucket.rows, key_heads)
        k_XKD = _gather(key_TND, bucket.keys)
        v_XKD = _gather(value_TND, bucket.keys)
        bias_XYK = plan.bias(number, key_heads, fold, q_XYD.dtype)
        scores_XYK = torch.baddbmm(bias_XYK, q_XYD, k_XKD.transpose(1, 2), alpha=scale)
        p_XYK = torch.softmax(scores_XYK, -1)
        # A repeated row writes the same value to the same place again.
        out_QHD[bucket.out_rows.reshape(-1)] = _unfold_rows(torch.bmm(p_XYK, v_XKD), bucket.rows.shape, key_heads, size)
        saved += [q_XYD, k_XKD, v_XKD, p_XYK]
    return out_QHD, saved


def _attend_backward(
    grad_QHD: Tensor, saved: Sequence[Tensor], plan: BlockPlan, scale: float, key_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query [T, H, D] and, summed in at least fp32, of key and value [T, N, D]."""
    _, heads, size = grad_QHD.shape
    d_query_THD = grad_QHD.new_zeros(plan.num_tokens, heads, size)
    precise = torch.promote_types(grad_QHD.dtype, torch.float32)
    d_key_TND = torch.zeros(plan.num_tokens, key_heads, size, dtype=precise, device=grad_QHD.device)
    d_value_TND = torch.zeros_like(d_key_TND)
    for number, bucket in enumerate(plan.buckets):
        q_XYD, k_XKD, v_XKD, p_XYK = saved[4 * number : 4 * number + 4]
        g_XYD = _fold_rows(grad_QHD, bucket.out_rows, key_heads, zero=bucket.padding)
        d_v_XKD = torch.bmm(p_XYK.transpose(1, 2), g_XYD)
        d_scores_XYK = torch._softmax_backward_data(torch.bmm(g_XYD, v_XKD.transpose(1, 2)), p_XYK, -1, p_XYK.dtype)
        d_q = _unfold_rows(torch.bmm(d_scores_XYK, k_XKD), bucket.rows.shape, key_heads, size)
        d_query_THD.index_add_(0, bucket.rows.reshape(-1), d_q, alpha=scale)
        d_k_XKD = torch.bmm(d_scores_XYK.transpose(1, 2), q_XYD)
        token = bucket.keys.reshape(-1)
        d_key_TND.index_add_(0, token, _ungather(d_k_XKD, bucket.keys.shape, size).to(precise), alpha=scale)
        d_value_TND.index_add_(0, token, _ungather(d_v_XKD, bucket.keys.shape, size).to(precise))
    return d_query_THD, d_key_TND, d_value_TND


def _rotate(x_TAD: Tensor, cos_TD: Tensor, sin_TD: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Return the rotary embedding of any heads, in the half-split form (Su et al. 2021, eq. 34, as in GPT-NeoX).

    `cos_TD` and `sin_TD` have D / 2 columns.
    """
    half = x_TAD.shape[-1] // 2
    low, high = x_TAD[..., :half], x_TAD[..., half:]
    out = torch.empty_like(x_TAD) if out is None else out
    cos_T1D, sin_T1D = cos_TD[:, None, :], sin_TD[:, None, :]
    torch.mul(low, cos_T1D, out=out[..., :half]).addcmul_(high, sin_T1D, value=-1)
    torch.mul(high, cos_T1D, out=out[..., half:]).addcmul_(low, sin_T1D)
    return out


def _fold_rows(x_THD: Tensor, row_BR: Tensor, key_heads: int, *, zero: Tensor | None = None) -> Tensor:
    """Return the rows [X, Y, D] of all blocks, those that `zero` [B · R] names as zeros."""
    B, R = row_BR.shape
    _, heads, size = x_THD.shape
    picked = x_THD.index_select(0, row_BR.reshape(-1))
    if zero is not None:
        picked.masked_fill_(zero[:, None, None], 0)
    fold = heads // key_heads
    return picked.view(B, R, key_heads, fold * size).transpose(1, 2).reshape(B * key_heads, R * fold, size)


def _unfold_rows(x_XYD: Tensor, shape: torch.Size, key_heads: int, size: int) -> Tensor:
    """Return [B · R, H, D], the inverse of `_fold_rows` for blocks of a shape [B, R]."""
    B, R = shape
    fold = x_XYD.shape[1] // R
    return x_XYD.view(B, key_heads, R, fold * size).transpose(1, 2).reshape(B * R, key_heads * fold, size)


def _gather(x_TND: Tensor, key_BK: Tensor) -> Tensor:
    """Return the keys or values [X, K, D] that all blocks gather."""
    B, K = key_BK.shape
    _, heads, size = x_TND.shape
    picked = x_TND.index_select(0, key_BK.reshape(-1)).view(B, K, heads, size)
    return picked.transpose(1, 2).reshape(B * heads, K, size)


def _ungather(x_XKD: Tensor, shape: torch.Size, size: int) -> Tensor:
    """Return [B · K, N, D], the inverse of `_gather` for blocks of a shape [B, K]."""
    B, K = shape
    return x_XKD.view(B, -1, K, size).transpose(1, 2).reshape(B * K, -1, size)
