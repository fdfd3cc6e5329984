"""How a question becomes tokens: a conversation through the model's template, a raw prompt as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from dizuo.data.rendering.calls import read_calls
from dizuo.data.rendering.conversations import Rendered, render_answer, render_prompt, render_text, without_thoughts
from dizuo.data.rendering.encoding import encode_prompt
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError, EvaluationError
from dizuo.evaluation.calls import written_answer
from dizuo.evaluation.setting import Item, Question
from dizuo.models import end_of_turn_ids
from dizuo.records import Message, Text

__all__ = ["answer_in", "prompt_ids", "render_answered", "stop_ids"]


def prompt_ids(tokenizer: Tokenizer, question: Question, *, thinking: bool = False) -> list[int]:
    """Return what the model reads before it answers, as it was trained to: see `render_prompt` and `render_text`.

    Args:
        tokenizer: the model's.
        question: what it is asked.
        thinking: it writes thoughts before its answer (`Task.thinking`).

    Raises:
        EvaluationError: the model's template or tokenizer cannot write it as it is; with its place.
    """
    try:
        if isinstance(question, str):
            return encode_prompt(tokenizer, question, template=False)
        return render_prompt(tokenizer, question.messages, tools=question.tools, thinking=thinking)
    except DataError as error:
        place = "" if isinstance(question, str) or not question.origin else f"{question.origin}: "
        raise EvaluationError(f"{place}{error.message.removeprefix(place)}", hint=error.hint) from error


def answer_in(tokenizer: Tokenizer, ids: Sequence[int], question: Question) -> str:
    """Return the answer in what a model has written: without special tokens, thoughts and white space around it.

    Calls are read as the gateway reads them, and stand in the answer as `evaluation/calls.py` writes them.
    """
    text = tokenizer.decode(list(ids), skip_special_tokens=True)
    if isinstance(question, str):
        return text.strip()
    marked = without_thoughts(tokenizer, tokenizer.decode(list(ids)))
    content, calls = read_calls(tokenizer, marked, tools=question.tools)
    return written_answer(content, calls).strip() if calls else without_thoughts(tokenizer, text).strip()


def render_answered(tokenizer: Tokenizer, item: Item) -> Rendered:
    """Return an item's question with its right answer, whose tokens have weight 1, the end included.

    Raises:
        DataError: the template cannot write it.
    """
    if isinstance(item.question, str):
        return render_text(tokenizer, Text(item.answer, prompt=item.question))
    turn = item.turn or Message("assistant", item.answer)
    return render_answer(tokenizer, item.question.messages, [turn], tools=item.question.tools)


def stop_ids(tokenizer: Tokenizer, question: Question) -> tuple[int, ...]:
    """Return the tokens that end an answer: of a raw prompt the end of text, since there are no turns."""
    if isinstance(question, str):
        return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    return tuple(end_of_turn_ids(tokenizer))
