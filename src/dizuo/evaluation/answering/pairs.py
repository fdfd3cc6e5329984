"""Pairs of answers: which of the two a model, or a rule, prefers.

Shapes: n pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.answering.answers import Answers
from dizuo.evaluation.metrics.pairs import BETTER, choices
from dizuo.evaluation.reporting.rows import Entry
from dizuo.evaluation.scoring import Score
from dizuo.evaluation.setting import ChatPrompt, Item, Setting, joined
from dizuo.records import Example, Preference

if TYPE_CHECKING:
    from dizuo.data import Task

__all__ = ["items_of_pairs", "length_margins", "pair_entry", "pairs_of", "share_right"]

Floats = NDArray[np.float64]


def items_of_pairs(examples: Sequence[Example], task: Task, limit: int = 0) -> list[Item]:
    """Return the first `limit` (0: all) pairs as items."""
    pairs = [example for example in examples if isinstance(example, Preference)]
    return [
        Item(
            joined(pair.prompt),
            ChatPrompt(pair.prompt, pair.tools, str(pair.origin)),
            (BETTER,),
            pair.id,
            str(pair.origin),
            pair,
        )
        for pair in pairs[: limit or len(pairs)]
    ]


def pairs_of(setting: Setting) -> list[Preference]:
    """Return the pairs that are scored."""
    return [item.pair for item in setting.items if item.pair is not None]


def length_margins(pairs: Sequence[Preference]) -> Floats:
    """Return [n] by how many characters the better answer is longer than the worse one."""
    return np.array([float(len(joined(pair.chosen)) - len(joined(pair.rejected))) for pair in pairs])


def share_right(margins: Floats) -> float:
    """Return the share of pairs whose better answer is preferred; a level pair counts a half."""
    return float(((margins > 0) + 0.5 * (margins == 0)).mean())


def pair_entry(
    setting: Setting, score: Score, name: str, title: str, family: str, margins: Floats, answers: Answers
) -> Entry:
    """Return which answers are preferred, with what that is worth.

    Args:
        setting: its items are pairs.
        score: by the metric `pairs`.
        name: of the row.
        title: what people read.
        family: `cheap`, `untuned` or `tuned`.
        margins: [n] by how much the better answer is preferred, of the first n pairs; 0 is level.
        answers: costs, notes and figures of the row; its texts are filled in.
    """
    return score.entry(name, title, family, setting.items, replace(answers, texts=choices(margins)))
