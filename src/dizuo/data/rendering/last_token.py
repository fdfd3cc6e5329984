"""Writes the sequences that a head reads at their last token: a question as it is asked, a conversation as it ended.

Training, evaluation and serving all render through here, so that a head sees the same ids in all three.

The last token is never the padding token. transformers' own classifiers look for the rightmost token that is not
padding, and many models pad with the token that ends a turn; a sequence that ended in it would be read elsewhere
there than here. Such tokens are left off the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from dizuo.data.rendering.conversations import Rendered
from dizuo.data.rendering.encoding import encode_after, encode_prompt
from dizuo.data.rendering.faults import fault_of_lost
from dizuo.data.rendering.leaving_out import unwritten_by_text
from dizuo.data.rendering.prompts import prompt_messages
from dizuo.data.rendering.templates import apply, refuse_lost_thoughts, write_prompt
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.data.task import Task
from dizuo.errors import DataError
from dizuo.records import Json, Message

if TYPE_CHECKING:
    from dizuo.models.heads import HeadFacts

__all__ = ["Form", "render_conversation", "render_for", "render_question"]

Form: TypeAlias = Literal["chat", "text"]
"""`chat`: the model's chat template, up to where it would answer. `text`: the input alone, without template and
instruction."""


def render_question(
    tokenizer: Tokenizer, text: str, task: Task | None, *, form: Form = "chat", cue: str = ""
) -> Rendered:
    """Return the sequence that asks `task` about one text; no token of it is trained.

    Args:
        tokenizer: a transformers tokenizer, with a chat template where `form` is `chat`.
        text: the input, without instruction.
        task: brings the instruction and the input's form; None is the bare text.
        form: see `Form`.
        cue: the words with which the answer begins, as in "It is:". A language model's last state says what comes
            next; asked for an answer it says how answers begin, and after a cue what the answer is.

    Raises:
        DataError: the template refuses the question, or no token is left.
    """
    task = task or Task("classification")
    if form == "chat":
        before = write_prompt(tokenizer, prompt_messages(text, task), ())
    else:
        before = task.input_template.replace("{text}", text)
    ids = encode_prompt(tokenizer, before, template=form == "chat")
    return _rendered(tokenizer, ids + encode_after(tokenizer, before, cue) if cue else ids)


def render_for(facts: HeadFacts, tokenizer: Tokenizer, text: str, task: Task | None) -> Rendered:
    """Return the question about one text as the head with these facts was trained to read it."""
    form: Form = "text" if facts.form == "text" else "chat"
    return render_question(tokenizer, text, task, form=form, cue=facts.cue)


def render_conversation(
    tokenizer: Tokenizer,
    prompt: Sequence[Message],
    answer: Sequence[Message],
    *,
    form: Form = "chat",
    tools: Sequence[Mapping[str, Json]] = (),
) -> Rendered:
    """Return a whole conversation as the template writes it once it has ended; no token of it is trained.

    Args:
        tokenizer: a transformers tokenizer.
        prompt: the messages before the answer.
        answer: the message or messages that are judged.
        form: see `Form`; as `text` the contents stand one after the other, a blank line between.
        tools: OpenAI tool definitions.

    Returns:
        The sequence; its `num_prompt` counts the tokens of the prompt, which may be cut where it is too long.

    Raises:
        DataError: the template refuses the conversation or leaves out a part of it, as `text` does with all but the
            contents, or no token is left.
    """
    if form == "text":
        if lost := unwritten_by_text([*prompt, *answer], tools):
            raise fault_of_lost(lost, by="form: text")
        before = "".join(f"{message.content}\n\n" for message in prompt)
        after = "\n\n".join(message.content for message in answer)
    else:
        before = apply(tokenizer, prompt, tools, generation=True)
        whole = apply(tokenizer, [*prompt, *answer], tools, generation=False)
        refuse_lost_thoughts(tokenizer, answer[-1], whole)
        if not whole.startswith(before):  # the template writes an answered conversation differently
            return _rendered(tokenizer, encode_prompt(tokenizer, whole))
        after = whole[len(before) :]
    head = encode_prompt(tokenizer, before, template=form == "chat")
    return _rendered(tokenizer, head + encode_after(tokenizer, before, after), num_prompt=len(head))


def _rendered(tokenizer: Tokenizer, ids: list[int], *, num_prompt: int | None = None) -> Rendered:
    size, pad = len(ids), tokenizer.pad_token_id
    while size and ids[size - 1] == pad:
        size -= 1
    if not size:
        raise DataError("no token is left for the head to read", hint="give the row a text")
    array = np.asarray(ids[:size], np.int32)
    return Rendered(array, np.zeros(size, np.float32), size if num_prompt is None else min(num_prompt, size))
