"""The token tree: every distinct prefix of a batch is computed once, exactly.

`build` packs a batch, `Runner` runs it through a model with the layout that was measured to be exact, `score`
evaluates log-probabilities. Tensor meanings are in `tree.py`; the idea is in docs/concepts/token-tree.md.
"""

from dizuo.trees.last import last_states
from dizuo.trees.runner import Choice, Outputs, Runner, score
from dizuo.trees.tree import Sequences, TokenTree, build, common_prefix

__all__ = ["Choice", "Outputs", "Runner", "Sequences", "TokenTree", "build", "common_prefix", "last_states", "score"]
