"""The padded layout: every sequence is a row of its own, filled up to the longest, as transformers itself runs a batch.

It shares nothing and works with every model, also with one whose logits are made in a way that is not known here.

Shapes: n sequences, S tokens of the longest, W weighted tokens over all sequences, R distinct states that predict one
of them, D hidden, V vocabulary.
"""

from __future__ import annotations

import numpy as np
import torch

from dizuo.trees.model_parts import ModelParts
from dizuo.trees.outputs import Outputs
from dizuo.trees.recomputing import Recompute
from dizuo.trees.tree import Sequences

__all__ = ["run_padded"]


def run_padded(
    parts: ModelParts, sequences: Sequences, *, recompute: Recompute, own_logits: bool, need_last: bool
) -> Outputs:
    """Run a batch as padded rows.

    Args:
        parts: the model.
        sequences: the batch; at least one sequence.
        recompute: whether the layers are computed again in the backward pass.
        own_logits: take the model's own logits [n, S, V], since they are more than its vocabulary projection gives.
        need_last: also return the last token's state of every sequence.
    """
    length_n = np.array([len(ids_L) for ids_L in sequences.ids])
    n, longest = len(sequences), int(length_n.max())
    ids_nS = np.zeros((n, longest), np.int64)
    mask_nS = np.zeros((n, longest), np.int64)
    for s, ids_L in enumerate(sequences.ids):
        ids_nS[s, : len(ids_L)], mask_nS[s, : len(ids_L)] = ids_L, 1
    inputs = {"input_ids": parts.tensor(ids_nS), "attention_mask": parts.tensor(mask_nS), "use_cache": False}
    with parts.casting(), recompute.layers():
        if need_last or not own_logits:
            states_nSD = parts.decoder(**inputs).last_hidden_state.reshape(n * longest, -1)
        if own_logits:
            logits_nSV = parts.base(**inputs).logits.reshape(n * longest, -1)

    weighted = [np.flatnonzero(weights_L) for weights_L in sequences.weights]
    sequence_W = np.concatenate([np.full(len(tokens), s) for s, tokens in enumerate(weighted)])
    position_W = np.concatenate(weighted)
    weight_W = np.concatenate([sequences.weights[s][tokens] for s, tokens in enumerate(weighted)])
    parent_W = sequence_W * longest + position_W - 1
    state_R, row_W = np.unique(parent_W, return_inverse=True)
    token_W = ids_nS[sequence_W, position_W]
    if own_logits:
        logits_RV = logits_nSV[parts.tensor(state_R)]
        table_RV = torch.log_softmax(logits_RV.to(torch.promote_types(logits_RV.dtype, torch.float32)), -1)
        logprobs_W = table_RV[parts.tensor(row_W), parts.tensor(token_W)]
    else:
        logprobs_W = parts.logprobs(states_nSD, state_R, row_W, token_W)
    return Outputs(
        logprobs=logprobs_W,
        weights=parts.tensor(weight_W).to(logprobs_W.dtype),
        sequence=parts.tensor(sequence_W),
        num_sequences=n,
        last=states_nSD[parts.tensor(np.arange(n) * longest + length_n - 1)] if need_last else None,
        num_tokens=n * longest,
        sum_lengths=sequences.sum_lengths,
    )
