"""The token tree: every distinct prefix of a batch is computed once, exactly.

`build` packs a batch, `Runner` runs it through a model with the layout that was measured to be exact, `score`
evaluates log-probabilities. Tensor meanings are in `tree.py`; the idea is in docs/concepts/token-tree.md.
"""

from dizuo.trees.choosing import Choice
from dizuo.trees.outputs import Outputs
from dizuo.trees.runner import Runner
from dizuo.trees.scoring import last_states, score
from dizuo.trees.tree import Sequences, TokenTree, build, common_prefix

__all__ = ["Choice", "Outputs", "Runner", "Sequences", "TokenTree", "build", "common_prefix", "last_states", "score"]
