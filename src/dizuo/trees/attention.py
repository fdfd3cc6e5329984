"""Attention over a token tree: exact, in batched matrix products over row blocks.

Queries are cut into blocks, each block gathers the keys it sees (`blocks.py`), and the query heads that share a key
head are folded into the rows of one product. No [T, T] matrix exists; work grows with what is visible, not with T².

Shapes: T packed tokens, Q answered queries (T unless chosen), H query heads, N key heads, G = H / N, D head size;
nb blocks of R rows and K keys.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dizuo.trees.blocks import Blocks, Bucket

__all__ = ["BlockPlan", "block_attention", "dense_attention", "packed_attention"]


class BlockPlan:
    """Blocks on a device, with the additive masks that every layer of one forward pass shares."""

    __slots__ = ("_bias", "buckets", "num_queries", "num_tokens")

    def __init__(self, blocks: Blocks, device: torch.device | str = "cpu") -> None:
        self.num_tokens = blocks.num_tokens
        self.num_queries = blocks.num_queries
        self.buckets = tuple(
            Bucket(b.rows.to(device), b.places.to(device), b.keys.to(device), b.hidden.to(device), b.padding.to(device))
            for b in blocks.buckets
        )
        self._bias: dict[tuple[int, int, int, torch.dtype], Tensor] = {}

    def bias(self, number: int, key_heads: int, fold: int, dtype: torch.dtype) -> Tensor:
        """[nb · N, R · G, K] zero where visible, minus infinity elsewhere."""
        found = self._bias.get((number, key_heads, fold, dtype))
        if found is None:
            hidden = self.buckets[number].hidden
            nb, rows, width = hidden.shape
            small = torch.zeros(hidden.shape, dtype=dtype, device=hidden.device).masked_fill_(hidden, float("-inf"))
            found = (
                small[:, None, :, None, :]
                .expand(nb, key_heads, rows, fold, width)
                .reshape(nb * key_heads, rows * fold, width)
            )
            self._bias[number, key_heads, fold, dtype] = found
        return found


def block_attention(query: Tensor, key: Tensor, value: Tensor, *, plan: BlockPlan, scale: float) -> Tensor:
    """Return softmax(scale · q kᵀ over visible keys) v, differentiable in all three.

    Args:
        query: [T, H, D] after rotary embedding.
        key: [T, N, D]; query head h reads key head h // (H / N).
        value: [T, N, D].
        plan: which keys each block of queries gathers.
        scale: what scores are multiplied by, usually D ** -0.5.

    Returns:
        [Q, H, D].
    """
    result: Tensor = _BlockAttention.apply(query, key, value, plan, scale)  # type: ignore[no-untyped-call]
    return result


def packed_attention(
    qkv: Tensor, cos: Tensor | None, sin: Tensor | None, *, key_heads: int, plan: BlockPlan, scale: float
) -> Tensor:
    """Rotate queries and keys by their positions and attend, in one step with one backward buffer.

    Args:
        qkv: [T, H + 2N, D] queries, keys and values of every token before rotary embedding.
        cos: [T, D / 2] of the half-split ("NeoX") rotary form; None for layers without positions.
        sin: [T, D / 2].
        key_heads: N.
        plan: which keys each block of queries gathers.
        scale: what scores are multiplied by.

    Returns:
        [Q, H, D].
    """
    result: Tensor = _PackedAttention.apply(qkv, cos, sin, key_heads, plan, scale)  # type: ignore[no-untyped-call]
    return result


class _BlockAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: BlockPlan, scale: float) -> Tensor:
        out, saved = _attend(query, key, value, plan, scale)
        ctx.save_for_backward(*saved)
        ctx.plan, ctx.scale, ctx.key_heads = plan, scale, key.shape[1]
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_query, d_key, d_value = _attend_backward(grad, ctx.saved_tensors, ctx.plan, ctx.scale, ctx.key_heads)
        return d_query, d_key.to(grad.dtype), d_value.to(grad.dtype), None, None


class _PackedAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, qkv: Tensor, cos: Tensor | None, sin: Tensor | None, key_heads: int, plan: BlockPlan, scale: float
    ) -> Tensor:
        rotated = qkv.shape[1] - key_heads
        heads = rotated - key_heads
        qk = qkv[:, :rotated]
        if cos is not None and sin is not None:
            qk = _rotate(qk, cos, sin)
        out, saved = _attend(qk[:, :heads], qk[:, heads:], qkv[:, rotated:], plan, scale)
        ctx.save_for_backward(cos, sin, *saved)
        ctx.plan, ctx.scale, ctx.key_heads, ctx.shape = plan, scale, key_heads, qkv.shape
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin, *saved = ctx.saved_tensors
        d_query, d_key, d_value = _attend_backward(grad, saved, ctx.plan, ctx.scale, ctx.key_heads)
        d_qkv = torch.empty(ctx.shape, dtype=grad.dtype, device=grad.device)
        heads = d_query.shape[1]
        rotated = heads + ctx.key_heads
        if cos is None:
            d_qkv[:, :heads], d_qkv[:, heads:rotated] = d_query, d_key
        else:
            _rotate(d_query, cos, -sin, out=d_qkv[:, :heads])
            _rotate(d_key.to(grad.dtype), cos, -sin, out=d_qkv[:, heads:rotated])
        d_qkv[:, rotated:] = d_value
        return d_qkv, None, None, None, None, None


def _attend(query: Tensor, key: Tensor, value: Tensor, plan: BlockPlan, scale: float) -> tuple[Tensor, list[Tensor]]:
    _, heads, size = query.shape
    key_heads = key.shape[1]
    fold = heads // key_heads
    out = query.new_empty(plan.num_queries, heads, size)
    saved: list[Tensor] = []
    for number, bucket in enumerate(plan.buckets):
        q = _fold_rows(query, bucket.rows, key_heads)
        k = _gather(key, bucket.keys)
        v = _gather(value, bucket.keys)
        scores = torch.baddbmm(plan.bias(number, key_heads, fold, q.dtype), q, k.transpose(1, 2), alpha=scale)
        p = torch.softmax(scores, -1)
        # A repeated row writes the same value to the same place again.
        out[bucket.places.reshape(-1)] = _unfold_rows(torch.bmm(p, v), bucket.rows.shape, key_heads, size)
        saved += [q, k, v, p]
    return out, saved


def _attend_backward(
    grad: Tensor, saved: Any, plan: BlockPlan, scale: float, key_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of query [T, H, D] and, summed in at least fp32, of key and value [T, N, D]."""
    _, heads, size = grad.shape
    d_query = grad.new_zeros(plan.num_tokens, heads, size)
    precise = torch.promote_types(grad.dtype, torch.float32)
    d_key = torch.zeros(plan.num_tokens, key_heads, size, dtype=precise, device=grad.device)
    d_value = torch.zeros_like(d_key)
    for number, bucket in enumerate(plan.buckets):
        q, k, v, p = saved[4 * number : 4 * number + 4]
        g = _fold_rows(grad, bucket.places, key_heads, zero=bucket.padding)
        d_v = torch.bmm(p.transpose(1, 2), g)
        d_scores = torch._softmax_backward_data(torch.bmm(g, v.transpose(1, 2)), p, -1, p.dtype)
        d_q = _unfold_rows(torch.bmm(d_scores, k), bucket.rows.shape, key_heads, size)
        d_query.index_add_(0, bucket.rows.reshape(-1), d_q, alpha=scale)
        d_k = torch.bmm(d_scores.transpose(1, 2), q)
        where = bucket.keys.reshape(-1)
        d_key.index_add_(0, where, _ungather(d_k, bucket.keys.shape, size).to(precise), alpha=scale)
        d_value.index_add_(0, where, _ungather(d_v, bucket.keys.shape, size).to(precise))
    return d_query, d_key, d_value


def _rotate(x: Tensor, cos: Tensor, sin: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Rotary embedding of [T, heads, D] in the half-split form (Su et al. 2021, eq. 34, as in GPT-NeoX)."""
    half = x.shape[-1] // 2
    low, high = x[..., :half], x[..., half:]
    out = torch.empty_like(x) if out is None else out
    c, s = cos[:, None, :], sin[:, None, :]
    torch.mul(low, c, out=out[..., :half]).addcmul_(high, s, value=-1)
    torch.mul(high, c, out=out[..., half:]).addcmul_(low, s)
    return out


def _fold_rows(x: Tensor, rows: Tensor, key_heads: int, *, zero: Tensor | None = None) -> Tensor:
    """[T, H, D] → [nb · N, R · G, D]."""
    nb, height = rows.shape
    _, heads, size = x.shape
    picked = x.index_select(0, rows.reshape(-1))
    if zero is not None:
        picked.masked_fill_(zero[:, None, None], 0)
    fold = heads // key_heads
    return picked.view(nb, height, key_heads, fold * size).transpose(1, 2).reshape(nb * key_heads, height * fold, size)


def _unfold_rows(x: Tensor, shape: torch.Size, key_heads: int, size: int) -> Tensor:
    """[nb · N, R · G, D] → [nb · R, H, D]."""
    nb, height = shape
    fold = x.shape[1] // height
    return x.view(nb, key_heads, height, fold * size).transpose(1, 2).reshape(nb * height, key_heads * fold, size)


def _gather(x: Tensor, keys: Tensor) -> Tensor:
    """[T, N, D] → [nb · N, K, D]."""
    nb, width = keys.shape
    _, heads, size = x.shape
    picked = x.index_select(0, keys.reshape(-1)).view(nb, width, heads, size)
    return picked.transpose(1, 2).reshape(nb * heads, width, size)


def _ungather(x: Tensor, shape: torch.Size, size: int) -> Tensor:
    """[nb · N, K, D] → [nb · K, N, D]."""
    nb, width = shape
    return x.view(nb, -1, width, size).transpose(1, 2).reshape(nb * width, -1, size)


def dense_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    visible: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
    sinks: Tensor | None = None,
    position_bias: Tensor | None = None,
) -> Tensor:
    """Return attention over a dense mask, with the variants that some models add.

    Args:
        query: [B, H, T, D].
        key: [B, N, T, D].
        value: [B, N, T, D].
        visible: [B or 1, 1, T, T] bool.
        scale: what scores are multiplied by.
        softcap: c in c · tanh(score / c) (Gemma 2).
        sinks: [H] one more logit per head that takes probability and gives nothing (gpt-oss).
        position_bias: added to the scores before the mask (T5-like decoders).

    Returns:
        [B, H, T, D].
    """
    fold = query.shape[1] // key.shape[1]
    if fold > 1:
        key, value = key.repeat_interleave(fold, 1), value.repeat_interleave(fold, 1)
    if softcap is None and sinks is None and position_bias is None:
        return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, scale=scale)
    scores = query @ key.transpose(-1, -2) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    if position_bias is not None:
        scores = scores + position_bias
    scores = scores.masked_fill(~visible, torch.finfo(scores.dtype).min)
    if sinks is not None:
        column = sinks.reshape(1, -1, 1, 1).expand(scores.shape[0], -1, scores.shape[2], 1)
        return torch.softmax(torch.cat([scores, column.to(scores.dtype)], -1), -1)[..., :-1] @ value
    return torch.softmax(scores, -1) @ value
