"""The mean over the labels of their F1: rare labels count as much as frequent ones."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["TITLE", "value"]

TITLE = "macro F1"


def value(answers: Sequence[str], expected: Sequence[str]) -> float:
    """Return the mean F1 over the labels that are expected somewhere; an answer that is no label is a miss of one.

    Labels that are only answered and never expected have no recall to speak of and do not enter the mean; answering
    them lowers the recall of the expected ones. White space around a text does not count, as in accuracy.
    """
    answers, expected = [text.strip() for text in answers], [text.strip() for text in expected]
    labels = sorted(set(expected))
    total = 0.0
    for label in labels:
        hits = sum(a == label and e == label for a, e in zip(answers, expected))
        said = sum(a == label for a in answers)
        wanted = sum(e == label for e in expected)
        total += 2 * hits / (said + wanted)
    return total / len(labels) if labels else 0.0
