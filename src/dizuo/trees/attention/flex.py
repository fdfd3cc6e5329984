"""Attention over a token tree on a GPU: PyTorch's FlexAttention with a block mask made from `end`.

Blocks of 128 × 128 positions in which nothing is visible are skipped, and no [T, T] matrix of scores exists; the mask
of the others is evaluated inside the kernel, from two vectors of length T. A window or a chunk is the model's own rule
on depths, ANDed with the tree's, as everywhere (`trees/hosted.py`).

The kernel is compiled for a shape, so trees are padded to few lengths with dead tokens that see only themselves.

FlexAttention has no backward on CPUs, where `row_blocks.py` is faster anyway; there it computes forward, uncompiled,
which is how its exactness is tested without a GPU.

References: Dong et al. 2024, "Flex Attention" (arXiv:2412.05496).

Shapes: T packed tokens, H query heads, N key heads, D head size; 1 for the batch, which is one tree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, create_block_mask, flex_attention

from dizuo.trees.tree import Packed

__all__ = ["block_mask", "pad_tree", "tree_attention"]

BLOCK = 128
"""Positions of a block; FlexAttention's own default, and the smallest that its backward kernel takes."""


def pad_tree(tree: Packed) -> Packed:
    """Return the tree with dead tokens behind it, up to one of four lengths per power of two (at most a quarter more).

    A dead token has depth 0, sees itself, and is seen by no other; the rows that are wanted stay where they are.
    """
    tokens = len(tree)
    step = max(BLOCK, 1 << max(0, tokens.bit_length() - 3))
    length = -(-tokens // step) * step
    dead = length - tokens
    nothing = np.zeros(dead, np.int64)
    return replace(
        tree,
        ids=np.concatenate([tree.ids, nothing]),
        depth=np.concatenate([tree.depth, nothing]),
        end=np.concatenate([tree.end, np.arange(tokens, length) + 1]),
    )


def block_mask(end_T: Tensor, depth_T: Tensor, rule: Callable[..., Tensor] | None = None) -> BlockMask:
    """Return who sees whom in a tree.

    Args:
        end_T: one past the last packed index whose path runs through a token.
        depth_T: its position in its own sequence.
        rule: (batch, head, query position, key position) -> the model's own rule on positions in a sequence.
    """
    tokens = len(end_T)

    def visible(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = (key <= query) & (query < end_T[key])
        return seen if rule is None else seen & rule(batch, head, depth_T[query], depth_T[key])

    return create_block_mask(
        visible, B=None, H=None, Q_LEN=tokens, KV_LEN=tokens, device=end_T.device, BLOCK_SIZE=BLOCK
    )


def tree_attention(
    query_1HTD: Tensor,
    key_1NTD: Tensor,
    value_1NTD: Tensor,
    mask: BlockMask,
    *,
    scale: float,
    softcap: float | None = None,
    sinks_H: Tensor | None = None,
) -> Tensor:
    """Return attention over a tree, with the variants that some models add.

    Args:
        query_1HTD: queries.
        key_1NTD: keys.
        value_1NTD: values.
        mask: from `block_mask`.
        scale: what scores are multiplied by.
        softcap: c in c · tanh(score / c) (Gemma 2).
        sinks_H: one more logit per head that takes probability and gives nothing (gpt-oss).

    Returns:
        [1, H, T, D], differentiable on a GPU.
    """

    def cap(score: Tensor, batch: Tensor, head: Tensor, row: Tensor, column: Tensor) -> Tensor:
        assert softcap is not None
        return softcap * torch.tanh(score / softcap)

    compute: Any = _compiled() if query_1HTD.device.type == "cuda" else flex_attention
    out_1HTD, auxiliary = compute(
        query_1HTD,
        key_1NTD,
        value_1NTD,
        score_mod=None if softcap is None else cap,
        block_mask=mask,
        scale=scale,
        enable_gqa=query_1HTD.shape[1] != key_1NTD.shape[1],
        return_aux=AuxRequest(lse=sinks_H is not None),
    )
    if sinks_H is not None:
        # softmax over the scores and the sink = softmax over the scores · their share of the probability.
        lse_1HT = auxiliary.lse
        share_1HT = torch.sigmoid(lse_1HT - sinks_H.to(lse_1HT.dtype)[None, :, None])
        out_1HTD = out_1HTD * share_1HT[..., None].to(out_1HTD.dtype)
    result: Tensor = out_1HTD
    return result


@cache
def _compiled() -> Any:
    return torch.compile(flex_attention)
