"""The token tree: every distinct prefix of a batch is computed once, exactly.

`Sequences` go in: token ids with a training weight per token. `Outputs` come out of `Runner.forward`: the
log-probability of every weighted token and, where asked for, each sequence's last state, in the batch's order whatever
the layout. Once per model, when a runner is made:

model_parts.py   takes the model apart: decoder, vocabulary projection, dtypes, device
capability.py    which models can never run as a tree
choosing.py      where the layout is chosen: a probe runs on the real weights, and its difference meets the bounds

For every batch:

runner.py        a pass in one page; it goes through the files below, in this order
tree.py          Sequences → TokenTree → what of it a model must run on
native/          states by our own forward of the dense decoder family, or
hosted.py        states by transformers' modules, with our attention, or
padded.py        states by padded rows, where no tree is exact
attention/       who sees whom: row blocks on a CPU, FlexAttention on a GPU
casting.py       frozen weights in the dtype of the products, cast once
recomputing.py   layers that compute themselves again in the backward pass
head.py          log-probabilities of the trained tokens alone, without the [T, vocabulary] matrix
outputs.py       what comes out

scoring.py       any number of sequences without gradients, pass by pass: `score` and `last_states`

The idea is in docs/concepts/token-tree.md.
"""

from dizuo.trees.choosing import Choice
from dizuo.trees.outputs import Outputs
from dizuo.trees.runner import Runner
from dizuo.trees.scoring import last_states, score
from dizuo.trees.tree import Sequences, TokenTree, build, common_prefix, count_packed, predicting_ids

__all__ = [
    "Choice",
    "Outputs",
    "Runner",
    "Sequences",
    "TokenTree",
    "build",
    "common_prefix",
    "count_packed",
    "last_states",
    "predicting_ids",
    "score",
]
