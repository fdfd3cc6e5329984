"""The share of answers whose final number is the reference's, as for GSM8K (Cobbe et al., 2021).

The number after `####` counts where there is one, else the last number of the text. `1,234.50`, `1 234.5`, `$1234.5`,
`1.2345e3` and their full-width forms are equal; `10-12` is two numbers, and the hyphen between them is no sign. A
percent sign is a unit as any other: `50%` is 50.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from dizuo.evaluation.metrics import Metric

__all__ = ["METRIC", "final_number", "number"]

_PLAIN = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *map(ord, "＋，－．＄％Ｅｅ"))} | {
    ord("−"): ord("-")
}
_NUMBER = re.compile(
    r"""
    (?: (?<![\dA-Za-z%)$€£¥￥.]) (-) [$€£¥￥]? )?  # after a digit or a unit the hyphen is a range's
    (
        (?: (?!0)\d{1,3} ([,\ \u00a0\u2009\u202f]) \d{3} (?:\3\d{3})* (?!\d) | \d+ ) (?:\.\d+)?
        | (?<![\dA-Za-z.]) \.\d+
    )
    ( [eE][-+]?\d{1,3} (?![A-Za-z0-9]) )?
    """,
    re.VERBOSE,
)


def number(answers: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return [n] 1 where the answer's final number is a reference's, else 0; no number is wrong."""
    scores = []
    for answer, right in zip(answers, references):
        said = final_number(answer)
        scores.append(float(said is not None and said in {final_number(text) for text in right}))
    return np.array(scores)


def final_number(text: str) -> Decimal | None:
    """Return the number a text ends on, or None."""
    _, mark, last = text.translate(_PLAIN).rpartition("####")
    numbers = list(_NUMBER.finditer(last))
    if not numbers:
        return None
    sign, digits, separator, exponent = (numbers[0] if mark else numbers[-1]).groups(default="")
    return Decimal(f"{sign}{digits.replace(separator, '') if separator else digits}{exponent}").normalize()


METRIC = Metric(title="final number", items=number, answers=("text",), binary=True)
