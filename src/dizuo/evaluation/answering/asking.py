"""How a question becomes tokens: a conversation through the model's template, a raw prompt as it stands."""

from __future__ import annotations

from collections.abc import Sequence

from dizuo.data.rendering.conversations import (
    Rendered,
    render_completion,
    render_prompt,
    render_text,
    without_thoughts,
)
from dizuo.data.rendering.templates import encode_prompt
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.evaluation.setting import Question
from dizuo.models import end_of_turn_ids
from dizuo.records import Text

__all__ = ["answer_in", "prompt_ids", "render_answered", "stop_ids"]


def prompt_ids(tokenizer: Tokenizer, question: Question, *, thinking: bool = False) -> list[int]:
    """Return what the model reads before it answers, as it was trained to: see `render_prompt` and `render_text`.

    Args:
        tokenizer: the model's.
        question: what it is asked.
        thinking: it writes thoughts before its answer (`Task.thinking`).
    """
    if isinstance(question, str):
        return encode_prompt(tokenizer, question)
    return render_prompt(tokenizer, question, thinking=thinking)


def answer_in(tokenizer: Tokenizer, ids: Sequence[int], question: Question) -> str:
    """Return the answer in what a model has written: without special tokens, thoughts and white space around it."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text.strip() if isinstance(question, str) else without_thoughts(tokenizer, text).strip()


def render_answered(tokenizer: Tokenizer, question: Question, answer: str) -> Rendered:
    """Return a question with its right answer, whose tokens have weight 1, the end included.

    Raises:
        DataError: the template cannot write it.
    """
    if isinstance(question, str):
        return render_text(tokenizer, Text(answer, prompt=question))
    return render_completion(tokenizer, question, answer)


def stop_ids(tokenizer: Tokenizer, question: Question) -> tuple[int, ...]:
    """Return the tokens that end an answer: of a raw prompt the end of text, since there are no turns."""
    if isinstance(question, str):
        return () if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,)
    return tuple(end_of_turn_ids(tokenizer))
