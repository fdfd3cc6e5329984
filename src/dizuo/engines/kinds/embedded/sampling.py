"""Drawing the next token from one row of logits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dizuo.engines.protocol import Sampling, TokenLogprob
from dizuo.errors import ModelError

__all__ = ["draw", "logprob_of"]

_FIRST_LOOK = 512
"""Tokens looked at before a nucleus is sorted in full: almost every nucleus is smaller."""
_COLDEST = 1e-5
"""Temperature below which drawing is greedy: a logit that is 0.001 smaller has a chance of e⁻¹⁰⁰."""


def draw(logits_V: Tensor, sampling: Sampling, random: np.random.Generator) -> int:
    """Return the next token id.

    Args:
        logits_V: [V] float32 logits of one request; no other request's row has any influence. -inf forbids a token.
        sampling: temperature 0 takes the largest logit (the lowest id of exactly equal ones), and so does any
            temperature below 1e-5, where nothing else could be drawn.
        random: the request's own generator; exactly one number is drawn from it per token.

    Raises:
        ModelError: a logit is NaN or +inf, or every one is -inf: a token drawn from these would be no answer.
    """
    best = logits_V.max()  # NaN if any is NaN
    if not torch.isfinite(best):
        raise ModelError(
            "the model's logits are not finite, so there is no next token", hint="check its weights: dizuo doctor"
        )
    if sampling.temperature < _COLDEST:
        return int((logits_V == best).nonzero()[0, 0])
    # Relative to the largest, so that no division can overflow upwards.
    scaled = (logits_V.double() - best.double()) / sampling.temperature
    size = len(scaled)
    if sampling.top_k:
        size = min(size, sampling.top_k)
    if sampling.top_p >= 1 and size == len(scaled):
        ids = None
        p = torch.exp(scaled - torch.logsumexp(scaled, 0))
    else:
        # A nucleus is cut from what top_k leaves, as everywhere: k first, then p of the remaining mass. So all k are
        # needed for that mass; without top_k the mass is the whole row's, and a first look is mostly enough.
        look = min(size, _FIRST_LOOK) if size == len(scaled) else size
        values, ids = torch.topk(scaled, look)
        mass = torch.logsumexp(scaled if size == len(scaled) else values, 0)
        if look < size and float(torch.exp(values - mass).sum()) < sampling.top_p:
            values, ids = torch.topk(scaled, size)
        p = torch.exp(values - mass)
        if sampling.top_p < 1:
            before = torch.cumsum(p, 0) - p
            p = torch.where(before < sampling.top_p, p, torch.zeros_like(p))
    heights = torch.cumsum(p, 0)
    target = torch.tensor(random.random() * float(heights[-1]), dtype=heights.dtype)
    place = min(int(torch.searchsorted(heights, target, right=True)), int(torch.nonzero(p)[-1, 0]))
    return place if ids is None else int(ids[place])


def logprob_of(logits_V: Tensor, token: int, top: int) -> TokenLogprob:
    """Return the log-probability of a token under the model's own distribution, and of the `top` likeliest."""
    logp = torch.log_softmax(logits_V.double(), 0)
    best: tuple[tuple[int, float], ...] = ()
    if top:
        values, ids = torch.topk(logp, min(top, len(logp)))
        best = tuple(zip(ids.tolist(), values.tolist()))
    return TokenLogprob(token, float(logp[token]), best)
