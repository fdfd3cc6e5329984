"""Counts the labels and lengths of a split, a row at a time."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Sequence

from dizuo.data.card import Lengths, SplitFigures
from dizuo.data.checks.identity import num_words
from dizuo.records import Chat, Example, Feedback, Labelled, Message, Preference, Text

__all__ = ["SplitStatistics", "excerpt", "plain_text"]

BINS = 20
EXCERPT = 120


class SplitStatistics:
    """Row, label and length counts of one split; lengths take four bytes a row."""

    def __init__(self) -> None:
        self.rows = 0
        self.labels: Counter[str] = Counter()
        self._lengths = {"characters": array("I"), "words": array("I"), "tokens": array("I")}

    def add(self, example: Example, *, tokens: int | None = None) -> None:
        """Count one row; `tokens` is its length as the model's own tokenizer and template write it."""
        text = plain_text(example)
        self.rows += 1
        self._lengths["characters"].append(len(text))
        self._lengths["words"].append(num_words(text))
        if tokens is not None:
            self._lengths["tokens"].append(tokens)
        if isinstance(example, Labelled):
            self.labels.update(example.labels)
        elif isinstance(example, Feedback):
            self.labels["wanted" if example.desirable else "not wanted"] += 1

    def figures(self) -> SplitFigures:
        """Return the figures for the card."""
        lengths = {unit: _summarise(values) for unit, values in self._lengths.items() if values}
        return SplitFigures(self.rows, dict(sorted(self.labels.items())), lengths)


def plain_text(example: Example) -> str:
    """Return all the text of an example, for counting and for showing."""
    if isinstance(example, Labelled):
        return example.text
    if isinstance(example, Text):
        return f"{example.prompt}{example.text}"
    if isinstance(example, Chat):
        return _said(example.messages)
    if isinstance(example, Preference):
        return _said((*example.prompt, *example.chosen, *example.rejected))
    if isinstance(example, Feedback):
        return _said((*example.prompt, *example.completion))
    return f"{example.anchor}\n{example.positive}"


def excerpt(example: Example) -> dict[str, str]:
    """Return a short view of an example for reports: at most 120 characters of each part."""
    if isinstance(example, Labelled):
        return {"text": _short(example.text), "answer": _short(", ".join(example.labels))}
    if isinstance(example, Text):
        return {
            "text": _short(example.prompt or example.text),
            "answer": _short(example.text if example.prompt else ""),
        }
    if isinstance(example, Chat):
        asked = next((m.content for m in reversed(example.messages) if m.role == "user"), "")
        answer = next((_answer(m) for m in reversed(example.messages) if m.role == "assistant"), "")
        return {"text": _short(asked), "answer": _short(answer)}
    if isinstance(example, Preference):
        return {
            "text": _short(example.prompt[-1].content),
            "answer": _short(_answer(example.chosen[-1])),
            "rejected": _short(_answer(example.rejected[-1])),
        }
    if isinstance(example, Feedback):
        return {
            "text": _short(example.prompt[-1].content),
            "answer": _short(_answer(example.completion[-1])),
            "label": "wanted" if example.desirable else "not wanted",
        }
    return {"text": _short(example.anchor), "answer": _short(example.positive)}


def _said(messages: Sequence[Message]) -> str:
    return "\n".join(message.content for message in messages)


def _answer(message: Message) -> str:
    """Return what a turn says, and what it calls."""
    calls = [call.get("function", call) for call in message.tool_calls]
    return f"{message.content} {json.dumps(calls, ensure_ascii=False)}".strip() if calls else message.content


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"


def _summarise(values: array[int]) -> Lengths:
    import numpy as np

    data = np.frombuffer(values, dtype=np.uint32)
    low, high = int(data.min()), int(data.max())
    edges = np.unique(np.linspace(low, high + 1, BINS + 1).astype(np.int64))
    counts, _ = np.histogram(data, bins=edges)
    return Lengths(
        min=low,
        median=float(np.median(data)),
        mean=round(float(data.mean()), 2),
        p95=float(np.percentile(data, 95)),
        max=high,
        histogram=tuple((int(start), int(end), int(rows)) for start, end, rows in zip(edges[:-1], edges[1:], counts)),
    )
