"""What a model answers while it is trained: the same few validation items, greedily, at every evaluation.

The engine reads the module that is in memory at that moment, adapters included, and changes nothing in it: it draws no
random numbers (answers are greedy), it writes no weights, and its worker thread has a random generator of its own.
`dizuo.steps.samples` writes the answers to samples.jsonl.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.answering.asking import answer_in, prompt_ids, stop_ids
from dizuo.evaluation.calls import same_answer
from dizuo.evaluation.setting import Item, items_of
from dizuo.records import Text

if TYPE_CHECKING:
    from dizuo.data import Dataset
    from dizuo.models import Model

__all__ = ["Written", "answer_now", "watched_items"]

MAX_TOKENS = 48
"""Most tokens of a written answer; the answers are for reading, not for scoring."""


@dataclass(frozen=True, slots=True)
class Written:
    """One answer of the model at one moment of its training."""

    item: str
    """Id of the example."""
    origin: str
    text: str
    """What is asked, without the instruction."""
    prompt: str
    """What the model read: rendered with its template, special tokens included."""
    expected: str
    """The right answer."""
    answer: str
    """What it wrote; empty where the prompt is too long or the engine failed."""
    right: bool
    """It is one of the right answers, word for word."""
    note: str = ""
    """Why there is no answer."""


def watched_items(data: Dataset, *, count: int) -> list[Item]:
    """Return the first `count` validation rows; none where the rows are not questions with right answers."""
    if data.task is None or data.task.kind not in ("classification", "generation", "text"):
        return []
    rows = [data.validation[i] for i in range(min(count, len(data.validation)))]
    if any(isinstance(row, Text) and not row.prompt for row in rows):
        return []
    return items_of(rows, data.task)


def answer_now(model: Model, items: Sequence[Item], *, labels: Sequence[str] = ()) -> list[Written]:
    """Return what the model answers to each item as its weights are now.

    Args:
        model: loaded, with its adapters in the module where there are some.
        items: a few.
        labels: of a classification; an answer may be a little longer than the longest of them.

    Raises:
        DizuoError: the model cannot be run by the embedded engine, or its template refuses an item.
    """
    from dizuo.engines import EngineOptions, GenerateRequest, Result, Sampling, generate_all
    from dizuo.engines import open as open_engine

    tokenizer: Tokenizer = model.tokenizer
    prompts = [prompt_ids(tokenizer, item.question, thinking=bool(item.thoughts)) for item in items]
    longest = [len(ids) for ids in tokenizer(list(labels), add_special_tokens=False)["input_ids"]] if labels else []
    most = min(max(longest) + 4, MAX_TOKENS) if longest else MAX_TOKENS
    engine = open_engine(model, options=EngineOptions(max_running=len(items), keep_recent=0))
    try:
        fits = [len(ids) + most <= engine.context_length for ids in prompts]
        ready = [
            GenerateRequest(ids, Sampling(max_tokens=most, stop_ids=stop_ids(tokenizer, item.question)))
            for item, ids, fit in zip(items, prompts, fits, strict=True)
            if fit
        ]
        results = iter(generate_all(engine, ready))
        answers: list[Result | None] = [next(results) if fit else None for fit in fits]
    finally:
        engine.close()
    return [
        _written(item, tokenizer.decode(ids), result, tokenizer)
        for item, ids, result in zip(items, prompts, answers, strict=True)
    ]


def _written(item: Item, prompt: str, result: Any, tokenizer: Tokenizer) -> Written:
    answer, note = "", ""
    if result is None:
        note = "the prompt is too long for the model"
    elif result.finish not in ("stop", "length"):
        note = f"{result.finish}: {result.error}" if result.error else str(result.finish)
    else:
        answer = answer_in(tokenizer, result.ids, item.question)
    same = any(same_answer(answer, reference) for reference in item.references)
    right = not note and (same or answer in {reference.strip() for reference in item.references})
    return Written(item.id, item.origin, item.text, prompt, item.answer, answer, right, note)
