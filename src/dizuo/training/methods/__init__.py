"""Training methods, one file each. The folder is the registry: a file `mine.py` here is `method: mine` in a recipe.

    from dizuo.training.method import Loss, Method

    @dataclass(frozen=True, slots=True)
    class Options:
        beta: float = 0.1

    def sequences(example, task, tokenizer, options): ...     # an example -> its token sequences with weights
    def loss(outputs, batch, options): ...                    # a block's outputs -> Loss(total, weight)

    METHOD = Method(Options=Options, kinds=("preference",), sequences=sequences, loss=loss)

`dizuo.training.method` explains every field, and `dizuo.testing.MethodSuite` tests a method in both layouts, with every
adapter, before it is used. A package of yours offers one through the entry-point group `dizuo.training.methods`.

A file imports no torch at module level, so that a recipe's options can be read without loading it.

    sft.py  pretrain.py                             text: answers behind their prompts, or every token
    dpo.py  simpo.py  orpo.py  kto.py               preferences: pairs of answers, or single answers that were judged
    classification.py  regression.py  reward.py     a linear head on the last state
"""

from __future__ import annotations

from dizuo.errors import PlanError
from dizuo.plugins import Kind
from dizuo.training.method import Method

__all__ = ["METHODS"]

METHODS: Kind[Method] = Kind("method", "dizuo.training.methods", "METHOD", Method, error=PlanError)
"""Every training method, ours and third parties'."""
