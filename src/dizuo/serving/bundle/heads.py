"""The head of a bundle is read, and what is served is checked to be what was trained.

Training leaves `golden.json` beside a head: a few texts of its own making with the token ids that they became and the
outputs that the head gave, computed a sequence at a time through transformers' modules. Before a bundle is served the
same texts are rendered with the bundle's tokenizer and template and run through the engine that will answer requests.
Other ids, or outputs further away than the bound, and nothing is served.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dizuo.data.rendering.last_token import render_for
from dizuo.engines import Engine, ScoreRequest, read_states
from dizuo.errors import ServingError
from dizuo.models import heads
from dizuo.models.heads import Head
from dizuo.serving.bundle.files import Bundle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from dizuo.data import Task

__all__ = ["GOLDEN", "check_head", "read_head"]

GOLDEN = "golden.json"
BOUND = 1e-3
"""Largest difference of an output, relative to the largest output of the golden texts (at least 1), in float32."""


def read_head(bundle: Bundle) -> Head | None:
    """Return the head that a bundle carries, or None.

    Raises:
        ServingError: its inputs were rendered with another chat template than the bundle's.
    """
    folder = bundle.adapter or bundle.weights
    head = None if folder is None else heads.read(folder)
    if head is not None and head.facts.form == "chat":
        digest = heads.digest_template(bundle.tokenizer())
        if digest != head.facts.template:
            raise ServingError(
                f"{bundle.name} was trained with another chat template than the bundle has",
                details=[f"trained with {head.facts.template}", f"the bundle has {digest}"],
                hint="train and deploy again",
            )
    return head


def check_head(
    folder: Path,
    head: Head,
    *,
    engine: Engine,
    adapter: str | None,
    tokenizer: PreTrainedTokenizerFast,
    task: Task | None,
    bound: float = BOUND,
) -> float | None:
    """Return how far the engine's outputs are from those of training on the golden texts; None where there are none.

    Args:
        folder: with golden.json.
        head: of that folder.
        engine: what will answer.
        adapter: its name for the adapter.
        tokenizer: the bundle's.
        task: the bundle's.
        bound: largest difference, relative.

    Raises:
        ServingError: texts become other ids than in training, or outputs are further away than the bound.
    """
    path = folder / GOLDEN
    if not path.is_file():
        return None
    golden = json.loads(path.read_text("utf-8"))
    rendered = [render_for(head.facts, tokenizer, row["text"], task) for row in golden]
    for row, ours in zip(golden, rendered, strict=True):
        if ours.ids.tolist() != row["ids"]:
            raise ServingError(
                "what is asked here is not what was asked in training",
                details=[f"{row['text']!r} became {len(row['ids'])} tokens in training, {len(ours.ids)} others here"],
                hint="task, tokenizer or template were changed: train and deploy again",
            )
    states = read_states(engine, [ScoreRequest(served.ids, served.weights, adapter) for served in rendered])
    expected = np.array([row["outputs"] for row in golden])
    error = float(np.abs(head.outputs(states) - expected).max() / max(1.0, float(np.abs(expected).max())))
    if not error <= bound:
        raise ServingError(
            f"the served model differs from the trained one by {error:.1e} on golden texts, and {bound:g} is allowed",
            hint="deploy again from the run's own folder",
        )
    return error
