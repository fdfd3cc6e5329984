"""Writes conversations and texts as token ids with the model's own chat template, through one function for every use.

Training, evaluation and serving all call `render_prompt` for what the model reads before it answers. A training
sequence is `render_prompt(messages before the turn)` followed by the turn's own text, which is encoded apart from
it: the prompt ids are an exact prefix of the training ids by construction, whatever the tokenizer would merge
across the boundary. The turn ends where the template ends it, at the first special token after the content; what
the template writes behind that (a newline, mostly) is context of the next turn and never a target.

What a template writes before an answer that has no thoughts, such as Qwen3's empty think block, belongs to the prompt:
the model is given it in training, in scoring and in serving, and never has to write it. A generation prompt that begins
a thought (DeepSeek-R1's `<think>`) is answered by a thought and its end, or has that end in it where there is none.

Templates that write earlier turns differently once a later turn exists (Qwen3 drops earlier thoughts) give one
sequence per trained turn; the token tree computes their shared prefix once. Templates that ask for today's date get
`TEMPLATE_DATE`: what was trained must be what is served next month.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dizuo.data.rendering.encoding import check_readable, encode_after, encode_prompt, refuse_two_bos
from dizuo.data.rendering.facts import facts_of
from dizuo.data.rendering.prompts import chat_for
from dizuo.data.rendering.templates import (
    TEMPLATE_DATE,
    prompt_of_turn,
    refuse_lost_keys,
    tail_of,
    turn_text,
    without_thoughts,
    write_prompt,
)
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.data.task import Task
from dizuo.errors import DataError
from dizuo.records import Chat, Example, Json, Labelled, Message, Origin, Text

__all__ = [
    "TEMPLATE_DATE",
    "Rendered",
    "end_of_turn",
    "num_before_text",
    "render",
    "render_answer",
    "render_chat",
    "render_completion",
    "render_completions",
    "render_prompt",
    "render_text",
    "without_thoughts",
]


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """One token sequence and what of it is trained."""

    ids: npt.NDArray[np.int32]
    """Token ids, shape [n]."""
    weights: npt.NDArray[np.float32]
    """Weight of predicting each token from those before it, shape [n]; 0 is context. `weights[0]` is 0."""
    num_prompt: int
    """Number of tokens before the first trained one."""


def render_prompt(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Json]] = (),
    thinking: bool = False,
) -> list[int]:
    """Return the ids that a model reads before it answers: the conversation with the generation prompt.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        messages: the conversation so far.
        tools: OpenAI tool definitions.
        thinking: the model writes thoughts before its answer, as it was trained to (`Task.thinking`). Without, what a
            template writes before an answer without thoughts, such as Qwen3's empty think block, is in the prompt.

    Raises:
        DataError: the model has no chat template, or its template refuses or loses a message.
    """
    return encode_prompt(tokenizer, write_prompt(tokenizer, messages, tools, thinking=thinking))


def render_chat(tokenizer: Tokenizer, chat: Chat) -> list[Rendered]:
    """Return the training sequences of a conversation: one, or one per trained turn (see the module docstring).

    Raises:
        DataError: no assistant turn is trained, or the template cannot be used.
    """
    turns = [i for i, message in enumerate(chat.messages) if message.role == "assistant" and message.weight > 0]
    if not turns:
        raise DataError(
            f"{_place(chat.origin)}no assistant turn is trained",
            hint="give the conversation an assistant turn with weight > 0",
        )
    refuse_lost_keys(tokenizer, chat.messages[: turns[-1] + 1], chat.tools)
    sequences: list[tuple[list[int], list[float], int]] = []
    for turn in turns:
        prompt_text, target_text = prompt_of_turn(tokenizer, chat.messages[: turn + 1], chat.tools)
        prompt_ids = encode_prompt(tokenizer, prompt_text)
        target_ids = encode_after(tokenizer, prompt_text, target_text)
        if sequences and prompt_ids[: len(sequences[-1][0])] == sequences[-1][0]:
            ids, weights, num_prompt = sequences.pop()
        else:
            ids, weights, num_prompt = [], [], len(prompt_ids)
        weights += [0.0] * (len(prompt_ids) - len(ids)) + [chat.messages[turn].weight] * len(target_ids)
        sequences.append((prompt_ids + target_ids, weights, num_prompt))
    return [_rendered(*sequence) for sequence in sequences]


def render_answer(
    tokenizer: Tokenizer,
    prompt: Sequence[Message],
    answer: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Json]] = (),
) -> Rendered:
    """Return the prompt and the answer as one sequence: the answer's assistant turns are trained, the prompt is not.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        prompt: the messages before the answer.
        answer: one assistant turn or several, with tool results or questions between.
        tools: OpenAI tool definitions.

    Returns:
        One sequence. Its prompt is that of `render_prompt`, whatever the answer.

    Raises:
        DataError: no assistant turn of the answer is trained, or the template cannot write it as one sequence.
    """
    context = tuple(replace(message, weight=0.0) for message in prompt)
    sequences = render_chat(tokenizer, Chat((*context, *answer), tools=tuple(tools)))
    if len(sequences) > 1:
        raise DataError(
            "the model's chat template writes a turn of this answer differently once the next one stands behind it, "
            "so the answer is not one sequence",
            hint="keep the last turn as the answer, and put those before it into the prompt",
        )
    first = render_prompt(tokenizer, prompt, tools=tools)
    (sequence,) = sequences
    if sequence.ids[: len(first)].tolist() != first:
        return sequence
    return replace(sequence, num_prompt=len(first))


def render_completion(
    tokenizer: Tokenizer, messages: Sequence[Message], completion: str, *, tools: Sequence[Mapping[str, Json]] = ()
) -> Rendered:
    """Return the prompt of `messages` with `completion` as the trained answer, end of turn included."""
    return render_completions(tokenizer, messages, [completion], tools=tools)[0]


def render_completions(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    completions: Sequence[str],
    *,
    tools: Sequence[Mapping[str, Json]] = (),
) -> list[Rendered]:
    """Return one sequence per answer to the same prompt; the prompt is rendered once.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        messages: the conversation up to the answer.
        completions: the candidate answers, such as the labels of a classification.
        tools: OpenAI tool definitions.
    """
    prompt_text = write_prompt(tokenizer, messages, tools)
    prompt_ids = encode_prompt(tokenizer, prompt_text)
    known = facts_of(tokenizer).answers if not tools else {}
    prompt = np.asarray(prompt_ids, dtype=np.int32)
    rendered = []
    for number, completion in enumerate(completions):
        answer = known.get(completion)
        if answer is None or number == 0:
            written = turn_text(tokenizer, [*messages, Message("assistant", completion)], tools, prompt_text)
            if answer not in (None, written):
                known = {}  # this template writes the same answer differently after another question
            answer = known[completion] = written
        target_ids = encode_after(tokenizer, prompt_text, answer)
        weights = np.zeros(len(prompt_ids) + len(target_ids), dtype=np.float32)
        weights[len(prompt_ids) :] = 1.0
        ids = np.concatenate([prompt, np.asarray(target_ids, dtype=np.int32)])
        rendered.append(Rendered(ids, weights, len(prompt_ids)))
    return rendered


def render_text(tokenizer: Tokenizer, example: Text) -> Rendered:
    """Return running text as ids, without a template: BOS where the tokenizer adds one, prompt, text, eos.

    The prompt is context; every token of the text and the eos is trained (the first token of all has nothing
    before it and is not). A text that was written with a template brings BOS and eos along; neither is written twice.

    Raises:
        DataError: the text opens with BOS twice, or a token has no embedding.
    """
    prompt_ids = encode_prompt(tokenizer, example.prompt, template=False)
    if example.prompt:
        target_ids = encode_after(tokenizer, example.prompt, example.text)
    else:
        target_ids = encode_prompt(tokenizer, example.text, template=False)[len(prompt_ids) :]
    if tokenizer.eos_token_id is not None and target_ids[-1:] != [tokenizer.eos_token_id]:
        target_ids = check_readable(tokenizer, [*target_ids, tokenizer.eos_token_id])
    refuse_two_bos(tokenizer, [*prompt_ids, *target_ids[:2]], template=False)
    weights = [0.0] * len(prompt_ids) + [1.0] * len(target_ids)
    weights[0] = 0.0
    return _rendered(prompt_ids + target_ids, weights, max(1, len(prompt_ids)))


def num_before_text(tokenizer: Tokenizer, example: Text) -> int:
    """Return how many tokens `render_text` puts before the text: BOS, where the tokenizer adds one, and the prompt."""
    return len(encode_prompt(tokenizer, example.prompt, template=False))


def render(tokenizer: Tokenizer, example: Example, task: Task | None) -> list[Rendered]:
    """Return the training sequences of a text, a conversation or a labelled example."""
    if isinstance(example, Text):
        return [render_text(tokenizer, example)]
    if isinstance(example, Chat | Labelled):
        return render_chat(tokenizer, chat_for(example, task))
    raise DataError(
        f"{_place(example.origin)}a {type(example).__name__.lower()} has no single sequence to train",
        hint="choose a training method for this kind of record",
    )


def end_of_turn(tokenizer: Tokenizer) -> str:
    """Return the text with which the model's template ends an assistant's turn, up to its first special token.

    Raises:
        DataError: the template ends a turn with no special token, so that a model could never learn to stop.
    """
    return tail_of(tokenizer)[0]


def _rendered(ids: list[int], weights: list[float], num_prompt: int) -> Rendered:
    return Rendered(np.asarray(ids, dtype=np.int32), np.asarray(weights, dtype=np.float32), num_prompt)


def _place(origin: Origin) -> str:
    return f"{origin}: " if origin.file else ""
