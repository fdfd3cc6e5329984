"""Log-probabilities and last states of any number of sequences, without gradients.

    score          log p of every weighted token: what evaluation and engines ask for
    last_states    the state of each sequence's last token: what heads on it read

Both cut a long batch into passes of bounded size.

Shapes: n sequences, L tokens of one sequence, W weighted tokens over the sequences of a pass, D hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from dizuo.trees.runner import Runner
from dizuo.trees.tree import Sequences, predicting_ids

__all__ = ["last_states", "score"]


@torch.no_grad()
def score(runner: Runner, sequences: Sequences, *, max_tokens: int = 4096) -> list[NDArray[np.float32]]:
    """Return the log-probabilities of every sequence's weighted tokens, without gradients.

    Args:
        runner: the model.
        sequences: any number of sequences; neighbours that share a prefix should stand together.
        max_tokens: packed tokens of one forward pass; those that predict nothing are left out and do not count.

    Returns:
        Per sequence, log p of its tokens with weight ≠ 0 [number of them], in nats, in the order given.
    """
    results: list[NDArray[np.float32]] = []
    for part in _cut(sequences, _predicting(sequences), max_tokens):
        logprobs_W = runner.forward(part).logprobs.float().cpu().numpy()
        count_n = [int(np.count_nonzero(weights_L)) for weights_L in part.weights]
        results += np.split(logprobs_W, np.cumsum(count_n)[:-1])
    return results


@torch.no_grad()
def last_states(runner: Runner, sequences: Sequences, *, max_tokens: int = 4096) -> NDArray[np.float32]:
    """Return [n, D] the state of each sequence's last token after the final norm, in the order given.

    Args:
        runner: the model.
        sequences: any number of any lengths; their weights are not read.
        max_tokens: packed tokens of one forward pass. Sequences that share a prefix should lie next to each other.
    """
    if not len(sequences):
        return np.empty((0, runner.head.weight.shape[1]), np.float32)
    unweighted = replace(sequences, weights=tuple(np.zeros(len(ids_L), np.float32) for ids_L in sequences.ids))
    states: list[NDArray[np.float32]] = []
    for part in _cut(unweighted, [len(ids_L) for ids_L in sequences.ids], max_tokens):
        last_nD = runner.forward(part, need_last=True).last
        assert last_nD is not None
        states.append(last_nD.float().cpu().numpy())
    return np.concatenate(states)


def _predicting(sequences: Sequences) -> list[int]:
    """Return how many first tokens of each sequence a model must read to predict its weighted ones."""
    return [len(predicting_ids(*row)) for row in zip(sequences.ids, sequences.weights, strict=True)]


def _cut(sequences: Sequences, read: list[int], max_tokens: int) -> Iterator[Sequences]:
    """Cut a batch into runs of neighbours whose packed size stays within the budget.

    Args:
        sequences: the batch.
        read: how many first tokens of each the model reads.
        max_tokens: the budget.
    """
    start, size = 0, 0
    for s, length in enumerate(read):
        shared = min(sequences.num_shared(s - 1, s), read[s - 1], length) if s > start else 0
        if s > start and size + length - shared > max_tokens:
            yield _slice(sequences, start, s)
            start, size, shared = s, 0, 0
        size += length - shared
    if len(sequences):
        yield _slice(sequences, start, len(sequences))


def _slice(sequences: Sequences, start: int, stop: int) -> Sequences:
    return Sequences(sequences.ids[start:stop], sequences.weights[start:stop], sequences.keys[start:stop])
