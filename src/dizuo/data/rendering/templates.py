"""Asks a model's own chat template and tokenizer, and makes an error of what they would do wrong in silence.

A template may refuse a role, leave out a turn, rewrite earlier turns once a later one exists, open with the BOS token
twice, or end an answer without a special token; a tokenizer may merge letters across the end of the prompt. Only
`conversations.py` and `last_token.py` call this module; `conversations.py` says what is rendered and why.
"""

from __future__ import annotations

import datetime
import re
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.records import Json, Message

__all__ = [
    "TEMPLATE_DATE",
    "apply",
    "encode_after",
    "encode_prompt",
    "facts_of",
    "prompt_of_turn",
    "tail_of",
    "turn_text",
    "without_thoughts",
    "write_prompt",
]

TEMPLATE_DATE = datetime.date(2025, 1, 1)
"""The day every template is told it is, in training and in serving alike."""

_DATE_CALL = re.compile(r"""strftime_now\s*\(\s*(["'])(.*?)\1\s*\)""")
_SENTINEL = "0x5e7e1"
_ENDS_THOUGHT = re.compile(r"</(\w+)>|\[/(\w+)\]")
"""The mark that ends a thought, in what a template writes where there is none."""
_OPENS_THOUGHT = re.compile(r"(?:<(\w+)>|\[(\w+)\])\n*$")
"""The end of a generation prompt that begins a thought: DeepSeek-R1's `<think>`, Magistral's `[THINK]`."""
_GUARD = "\uffff"
"""Put inside a special token that somebody typed, so that neither template nor tokenizer takes it for one. Unicode says
that it is no character and never will be."""


@dataclass(frozen=True, slots=True)
class _Thought:
    """How a template writes an answer that has no thoughts, and one that has, if it does so at all."""

    opening: str = ""
    """What stands between the generation prompt and an answer without thoughts, such as Qwen3's empty think block. The
    template writes it and not the model, so it belongs to the prompt."""
    begun: str = ""
    """What the generation prompt has that the template leaves out once the turn is answered: an R1's `<think>`."""
    begins: str = ""
    """The mark that begins a thought, without white space; empty where nothing is known of thoughts."""
    ends: str = ""
    """The mark that ends one."""

    @property
    def close(self) -> str:
        """What stands between a thought and its answer, where the generation prompt begins a thought."""
        return f"\n{self.ends}\n\n" if self.begun.endswith("\n") else f"{self.ends}\n\n"


@dataclass(slots=True)
class _Facts:
    """Facts about a tokenizer and its template, which are worked out once."""

    template: str | None
    special: tuple[str, ...]
    adds_bos: bool
    end: str = ""
    tail: str = ""
    cuts: tuple[str, ...] = ()
    """The special tokens that the template writes, of the thousands that some vocabularies have."""
    thought: _Thought | None = None
    """How the template writes thoughts; None until `_thought_of` has looked."""
    answers: dict[str, str] = field(default_factory=dict)
    """Completion: the text of the turn that gives it. A classification asks for the same few again and again."""
    encoded: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(what stands before, text): ids of the text."""


_known: weakref.WeakKeyDictionary[Tokenizer, _Facts] = weakref.WeakKeyDictionary()
_ENCODED_TEXTS = 10_000


def apply(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, generation: bool
) -> str:
    """Return a conversation as the model's chat template writes it, with the generation prompt if `generation`.

    Raises:
        DataError: there is no chat template, it refuses the roles, or it leaves out a turn that is not the model's.
    """
    import jinja2

    if not getattr(tokenizer, "chat_template", None):
        raise DataError(
            "the model has no chat template, so a conversation cannot be written for it",
            hint="choose an instruction-tuned model, or prepare the data as plain text (format: text)",
        )
    contents = [_guard_special_tokens(tokenizer, message.content) for message in messages]
    try:
        text: str = tokenizer.apply_chat_template(
            [_guarded_turn(tokenizer, message, content) for message, content in zip(messages, contents, strict=True)],
            tools=[dict(tool) for tool in tools] or None,
            add_generation_prompt=generation,
            tokenize=False,
            chat_template=_fix_date(tokenizer.get_chat_template(None, list(tools) or None)),
        )
    except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
        roles = ", ".join(message.role for message in messages)
        raise DataError(
            f"the model's chat template refuses this conversation ({roles}): {error}",
            hint="change the roles, for example put the system text into the first user turn",
        ) from error
    for number, (message, content) in enumerate(zip(messages, contents, strict=True), start=1):
        if message.role in ("system", "developer", "user") and content.strip() not in text:
            raise DataError(
                f"the model's chat template leaves out turn {number} ({message.role})",
                hint="put its text into a role that the template writes, such as the first user turn",
            )
    return text


def _guarded_turn(tokenizer: Tokenizer, message: Message, content: str) -> dict[str, Json]:
    turn = {**message.as_template_dict(), "content": content}
    if message.reasoning_content:
        turn["reasoning_content"] = _guard_special_tokens(tokenizer, message.reasoning_content)
    return turn


def _guard_special_tokens(tokenizer: Tokenizer, content: str) -> str:
    """Return a message in which no special token can be read, whoever typed it."""
    if _GUARD in content:
        raise DataError(
            "a message holds U+FFFF, which is no character", hint="remove it; a broken export is the usual cause"
        )
    for token in facts_of(tokenizer).special:
        if token in content:
            content = content.replace(token, token[:1] + _GUARD + token[1:])
    return content


def _fix_date(template: str) -> str:
    """Return the template with its questions for today's date answered.

    transformers offers templates `strftime_now` and no way to say what now is.
    """
    if "strftime_now" not in template:
        return template
    dated = _DATE_CALL.sub(lambda match: repr(TEMPLATE_DATE.strftime(match[2])), template)
    if re.search(r"strftime_now\s*\(", dated):
        raise DataError(
            "the model's chat template asks for today's date in a way that cannot be fixed to one day",
            hint="choose a model whose template does not change from day to day",
        )
    return dated


def facts_of(tokenizer: Tokenizer) -> _Facts:
    """Return the facts about a tokenizer and the template that it has now."""
    facts = _known.get(tokenizer)
    if facts is None or facts.template != tokenizer.chat_template:
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        special = tuple(sorted({*tokenizer.all_special_tokens, *added} - {""}))
        bos = tokenizer.bos_token_id
        adds_bos = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]
        facts = _known[tokenizer] = _Facts(tokenizer.chat_template, special, adds_bos)
    return facts


def tail_of(tokenizer: Tokenizer) -> tuple[str, str]:
    """Return (end of turn, everything the template writes after the content of a last assistant turn)."""
    facts = facts_of(tokenizer)
    if facts.tail:
        return facts.end, facts.tail
    text = apply(tokenizer, [Message("user", "?"), Message("assistant", _SENTINEL)], (), generation=False)
    if _SENTINEL not in text:
        raise DataError(
            "the model's chat template leaves out the assistant's answer",
            hint="choose a model whose template can be trained",
        )
    tail = text[text.rindex(_SENTINEL) + len(_SENTINEL) :]
    starts = {token: tail.find(token) for token in facts.special if token in tail}
    if not starts:
        raise DataError(
            f"the model's chat template ends an answer with {tail!r}, which holds no special token; "
            "a model trained on it could never learn to stop",
            hint="choose a model whose template ends a turn, such as an instruction-tuned one",
        )
    # Of two special tokens that start at the same place, the longer one is what the tokenizer matches.
    first = min(starts.values())
    longest = max((token for token, start in starts.items() if start == first), key=len)
    facts.end, facts.tail = tail[: first + len(longest)], tail
    facts.cuts = tuple(token for token in facts.special if token in text)
    return facts.end, facts.tail


def _thought_of(tokenizer: Tokenizer) -> _Thought:
    """Return how the template writes thoughts, found out by rendering one question, asked and answered."""
    facts = facts_of(tokenizer)
    if facts.thought is not None:
        return facts.thought
    question = [Message("user", "?")]
    asked = apply(tokenizer, question, (), generation=True)
    answered = apply(tokenizer, [*question, Message("assistant", _SENTINEL)], (), generation=False)
    before = answered[: max(0, answered.rfind(_SENTINEL))]
    begun = _OPENS_THOUGHT.search(asked)
    facts.thought = _Thought()
    if before.startswith(asked):
        # White space alone stays with the answer: a tokenizer may merge it with the first word.
        opening = before[len(asked) :]
        if opening.strip():
            facts.thought = _Thought(opening, "", *_marks(_ENDS_THOUGHT.search(opening)))
    elif begun is not None and asked[: begun.start()] == before:
        begins, ends = _marks(begun)
        gap = "\n" if begun[0].endswith("\n") else ""
        facts.thought = _Thought(f"{gap}{ends}\n\n", begun[0], begins, ends)
    return facts.thought


def _marks(found: re.Match[str] | None) -> tuple[str, str]:
    """Return the marks that begin and end a thought, of the name that was found in one of them."""
    if found is None:
        return "", ""
    return (f"<{found[1]}>", f"</{found[1]}>") if found[1] else (f"[{found[2]}]", f"[/{found[2]}]")


def write_prompt(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Json]],
    *,
    thinking: bool = False,
) -> str:
    """Return a conversation up to where the model begins to write.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        messages: the conversation so far.
        tools: OpenAI tool definitions.
        thinking: the model writes thoughts before its answer. Without, what the template writes before an answer
            without thoughts stands in the prompt.
    """
    text = apply(tokenizer, messages, tools, generation=True)
    thought = _thought_of(tokenizer)
    if thinking or not thought.opening:
        return text
    if thought.begun:
        return text + thought.opening if text.endswith(thought.begun) else text
    answered = apply(tokenizer, [*messages, Message("assistant", _SENTINEL)], tools, generation=False)
    return answered[: answered.rfind(_SENTINEL)] if answered.startswith(text + thought.opening) else text


def prompt_of_turn(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]]
) -> tuple[str, str]:
    """Return (what stands before the last turn's own text, that text, end of turn included), as it is trained."""
    asked = apply(tokenizer, messages[:-1], tools, generation=True)
    answered = apply(tokenizer, messages, tools, generation=False)
    thought = _thought_of(tokenizer)
    whole = asked + thought.opening
    if thought.begun and asked.endswith(thought.begun):
        prompt = asked if _thoughts_in(messages[-1], thought) else whole
    else:
        prompt = whole if answered.startswith(whole) else asked
    return prompt, _cut_turn(tokenizer, messages[-1], answered, prompt)


def _thoughts_in(message: Message, thought: _Thought) -> str:
    """Return the thoughts of a turn: its own field, or what its content has before the mark that ends a thought."""
    if message.reasoning_content or not thought.begun or thought.ends not in message.content:
        return message.reasoning_content.strip()
    return message.content.partition(thought.ends)[0].rpartition(thought.begins)[2].strip()


def without_thoughts(tokenizer: Tokenizer, text: str) -> str:
    """Return what a model has written without its thoughts: what stands behind the last mark that ends one.

    Args:
        tokenizer: whose template says by which mark, if by any.
        text: as the model wrote it. A thought that does not end leaves no answer.
    """
    thought = _thought_of(tokenizer)
    if not thought.ends:
        return text
    if thought.ends in text:
        return text.rpartition(thought.ends)[2].lstrip("\n")
    return "" if text.lstrip().startswith(thought.begins) else text


def turn_text(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], prompt_text: str
) -> str:
    """Return what the model must write for the last turn of `messages`, end of turn included."""
    return _cut_turn(tokenizer, messages[-1], apply(tokenizer, messages, tools, generation=False), prompt_text)


def _cut_turn(tokenizer: Tokenizer, turn: Message, text: str, prompt_text: str) -> str:
    """Return the last turn's own part of a conversation as the template writes it."""
    end, tail = tail_of(tokenizer)
    thought = _thought_of(tokenizer)
    if thought.begun and not text.startswith(prompt_text):
        # The generation prompt begins a thought, and the template leaves that out of what was answered.
        bare = prompt_text.removesuffix(thought.opening).removesuffix(thought.begun)
        if text.startswith(bare) and text.endswith(tail):
            thoughts = _guard_special_tokens(tokenizer, _thoughts_in(turn, thought))
            answer = text[len(bare) : len(text) - len(tail)] + end
            return thoughts + thought.close + answer.lstrip("\n") if thoughts else answer
    if not text.startswith(prompt_text):
        shared = next((i for i, (a, b) in enumerate(zip(text, prompt_text)) if a != b), len(text))
        raise DataError(
            "the model's chat template writes an answered conversation differently from the prompt it answers "
            f"(from character {shared}: prompt {prompt_text[shared : shared + 30]!r}, "
            f"answered {text[shared : shared + 30]!r})",
            hint="choose a model whose template keeps the prompt; what is trained must be what is served",
        )
    if not text.endswith(tail):
        raise DataError(
            f"the model's chat template ends this turn with {text[-30:]!r}, others with {tail!r}",
            hint="choose a model whose template ends all assistant turns alike",
        )
    written = text[len(prompt_text) : len(text) - len(tail)]
    thoughts = _guard_special_tokens(tokenizer, turn.reasoning_content).strip()
    if thoughts and thoughts not in written:
        raise DataError(
            "the model's chat template leaves out the thoughts of this turn (reasoning_content)",
            hint="write them into the content as the model would, or train without them: ignore: [reasoning_content]",
        )
    return written + end


def _encode(tokenizer: Tokenizer, text: str) -> list[int]:
    ids: list[int] = []
    for piece in text.split(_GUARD):
        ids += tokenizer(piece, add_special_tokens=False)["input_ids"]
    return ids


def encode_prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return ids with exactly one BOS where the tokenizer adds one: ids[0] is BOS and ids[1] is not.

    Never a count: SmolLM2's BOS is the token that opens every turn.
    """
    ids = _encode(tokenizer, text)
    bos = tokenizer.bos_token_id
    if bos is None or not facts_of(tokenizer).adds_bos:
        return ids
    if ids[:1] != [bos]:
        ids = [bos, *ids]
    if ids[1:2] == [bos]:
        raise DataError(
            f"the model's chat template opens with the BOS token {tokenizer.bos_token!r} twice",
            hint="choose a model whose template writes it once",
        )
    return ids


def encode_after(tokenizer: Tokenizer, prompt_text: str, text: str) -> list[int]:
    """Return the ids of `text` as they stand after the prompt.

    Special tokens cut a text before anything is merged: what stands before the prompt's last one has no say.
    """
    facts = facts_of(tokenizer)
    start = max((prompt_text.rfind(token) for token in facts.cuts), default=0)
    before = prompt_text[max(start, 0) :]
    ids = facts.encoded.get((before, text))
    if ids is None:
        ids = _encode_beside(tokenizer, before, text)
        if len(before) + len(text) < 200 and len(facts.encoded) < _ENCODED_TEXTS:
            facts.encoded[before, text] = ids
    return ids


def _encode_beside(tokenizer: Tokenizer, before: str, text: str) -> list[int]:
    alone = _encode(tokenizer, text)
    if not before:
        return alone
    before_ids = _encode(tokenizer, before)
    together = _encode(tokenizer, before + text)
    if together == before_ids + alone:
        return alone
    # The tokenizer merges across the boundary, or writes a dummy space in front of a text of its own.
    decoded = tokenizer.decode(before_ids + alone, clean_up_tokenization_spaces=False)
    if decoded == tokenizer.decode(before_ids, clean_up_tokenization_spaces=False) + text.replace(_GUARD, ""):
        return alone
    if together[: len(before_ids)] == before_ids:
        return together[len(before_ids) :]
    raise DataError(
        f"the tokenizer cannot write the answer {text[:40]!r} after its prompt without changing the prompt",
        hint="begin the answer with another character; white space at its start is the usual cause",
    )
