"""Asks a model's own chat template and tokenizer, and makes an error of what they would do wrong in silence.

A template may refuse a role, leave out a turn, rewrite earlier turns once a later one exists, open with the BOS token
twice, or end an answer without a special token; a tokenizer may merge letters across the end of the prompt. Only
`conversations.py` and `last_token.py` call this module; `conversations.py` says what is rendered and why.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping, Sequence

from dizuo.data.rendering.facts import Spelling, Thought, facts_of, guard_special_tokens
from dizuo.data.rendering.faults import ModelFault, fault_of_lost, template_name
from dizuo.data.rendering.leaving_out import find_lost_keys, shape_of
from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.records import Json, Message

__all__ = [
    "TEMPLATE_DATE",
    "apply",
    "prompt_of_turn",
    "refuse_lost_keys",
    "refuse_lost_thoughts",
    "tail_of",
    "turn_text",
    "without_thoughts",
    "write_prompt",
]

TEMPLATE_DATE = datetime.date(2025, 1, 1)
"""The day every template is told it is, in training and in serving alike."""

_DATE_CALL = re.compile(r"""strftime_now\s*\(\s*(["'])(.*?)\1\s*\)""")
_SENTINEL = "0x5e7e1"
_SPELLINGS = (Spelling(), Spelling(arguments_are_text=True), Spelling(True), Spelling(True, True))
_ENDS_THOUGHT = re.compile(r"</(\w+)>|\[/(\w+)\]")
"""The mark that ends a thought, in what a template writes where there is none."""
_OPENS_THOUGHT = re.compile(r"(?:<(\w+)>|\[(\w+)\])\n*$")
"""The end of a generation prompt that begins a thought: DeepSeek-R1's `<think>`, Magistral's `[THINK]`."""


def apply(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, generation: bool
) -> str:
    """Return a conversation as the model's chat template writes it, with the generation prompt if `generation`.

    Raises:
        ModelFault: there is no chat template, it refuses the roles, or it leaves out a turn that is not the model's,
            the tools, or another key of a turn.
    """
    import jinja2

    if not getattr(tokenizer, "chat_template", None):
        raise ModelFault(
            "the model has no chat template, so a conversation cannot be written for it",
            hint="choose an instruction-tuned model, or prepare the data as plain text (format: text)",
        )
    try:
        text = _write(tokenizer, messages, tools, generation=generation)
    except (jinja2.TemplateError, TypeError, ValueError, KeyError, RecursionError) as error:
        roles = ", ".join(message.role for message in messages)
        raise ModelFault(
            f"the model's chat template refuses this conversation ({roles}): {error}",
            hint="change the roles, for example put the system text into the first user turn",
        ) from error
    for number, message in enumerate(messages, start=1):
        content = guard_special_tokens(tokenizer, message.content).strip()
        if message.role in ("system", "developer", "user") and content not in text:
            raise ModelFault(
                f"the model's chat template leaves out turn {number} ({message.role})",
                hint="put its text into a role that the template writes, such as the first user turn",
            )
    refuse_lost_keys(tokenizer, messages, tools, generation=generation)
    return text


def _write(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, generation: bool
) -> str:
    """Return what the template makes of a conversation, whatever it leaves out."""
    spelling = _spelling_of(tokenizer) if any(message.tool_calls for message in messages) else _SPELLINGS[0]
    return _write_as(tokenizer, messages, tools, spelling, generation=generation)


def _write_as(
    tokenizer: Tokenizer,
    messages: Sequence[Message],
    tools: Sequence[Mapping[str, Json]],
    spelling: Spelling,
    *,
    generation: bool,
) -> str:
    return tokenizer.apply_chat_template(
        [_guarded_turn(tokenizer, message, spelling) for message in messages],
        tools=[dict(tool) for tool in tools] or None,
        add_generation_prompt=generation,
        tokenize=False,
        chat_template=_fix_date(tokenizer.get_chat_template(None, list(tools) or None)),
    )


def refuse_lost_keys(
    tokenizer: Tokenizer, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, generation: bool = False
) -> None:
    """Refuse a conversation with keys that the template does not write; each shape is tried once.

    Raises:
        ModelFault: naming all of them.
    """
    whole = facts_of(tokenizer).whole
    shape = (generation, shape_of(messages, tools))
    if shape in whole:
        return

    def write(messages: Sequence[Message], tools: Sequence[Mapping[str, Json]]) -> str | None:
        try:
            return _write(tokenizer, messages, tools, generation=generation)
        except Exception:  # a template is a program, and raises what it likes: it has read the key
            return None

    if lost := find_lost_keys(write, messages, tools):
        raise fault_of_lost(lost, by=template_name(tokenizer))
    whole.add(shape)


def _spelling_of(tokenizer: Tokenizer) -> Spelling:
    """Return how the template wants calls: the first spelling with which it writes one, or transformers' own."""
    facts = facts_of(tokenizer)
    if facts.spelling is None:
        call: Mapping[str, Json] = {
            "id": _SENTINEL.ljust(9, "0"),
            "type": "function",
            "function": {"name": f"f{_SENTINEL}", "arguments": {f"k{_SENTINEL}": f"v{_SENTINEL}"}},
        }
        facts.spelling = _SPELLINGS[0]
        for spelling in _SPELLINGS:
            try:
                turns = [Message("user", "?"), Message("assistant", "", tool_calls=(call,))]
                text = _write_as(tokenizer, turns, (), spelling, generation=False)
            except Exception:  # a template is a program, and raises what it likes
                continue
            if all(f"{kind}{_SENTINEL}" in text for kind in "fkv"):
                facts.spelling = spelling
                break
    return facts.spelling


def _guarded_turn(tokenizer: Tokenizer, message: Message, spelling: Spelling) -> dict[str, Json]:
    turn = {**message.as_template_dict(), "content": guard_special_tokens(tokenizer, message.content)}
    if message.tool_calls:
        if spelling.content_is_null and not message.content:
            turn["content"] = None
        if spelling.arguments_are_text:
            turn["tool_calls"] = [_with_text(call) for call in message.tool_calls]
    if message.reasoning_content:
        turn["reasoning_content"] = guard_special_tokens(tokenizer, message.reasoning_content)
    return turn


def _with_text(call: Mapping[str, Json]) -> Mapping[str, Json]:
    """Return a call whose arguments are JSON in a string."""
    function = call.get("function")
    if not isinstance(function, Mapping):
        return call
    arguments = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
    return {**call, "function": {**function, "arguments": arguments}}


def _fix_date(template: str) -> str:
    """Return the template with its questions for today's date answered.

    transformers offers templates `strftime_now` and no way to say what now is.
    """
    if "strftime_now" not in template:
        return template
    dated = _DATE_CALL.sub(lambda match: repr(TEMPLATE_DATE.strftime(match[2])), template)
    if re.search(r"strftime_now\s*\(", dated):
        raise ModelFault(
            "the model's chat template asks for today's date in a way that cannot be fixed to one day",
            hint="choose a model whose template does not change from day to day",
        )
    return dated


def tail_of(tokenizer: Tokenizer) -> tuple[str, str]:
    """Return (end of turn, everything the template writes after the content of a last assistant turn)."""
    facts = facts_of(tokenizer)
    if facts.tail:
        return facts.end, facts.tail
    text = apply(tokenizer, [Message("user", "?"), Message("assistant", _SENTINEL)], (), generation=False)
    if _SENTINEL not in text:
        raise ModelFault(
            "the model's chat template leaves out the assistant's answer",
            hint="choose a model whose template can be trained",
        )
    tail = text[text.rindex(_SENTINEL) + len(_SENTINEL) :]
    starts = {token: tail.find(token) for token in facts.special if token in tail}
    if not starts:
        raise ModelFault(
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


def _thought_of(tokenizer: Tokenizer) -> Thought:
    """Return how the template writes thoughts, found out by rendering one question, asked and answered."""
    facts = facts_of(tokenizer)
    if facts.thought is not None:
        return facts.thought
    question = [Message("user", "?")]
    asked = apply(tokenizer, question, (), generation=True)
    answered = apply(tokenizer, [*question, Message("assistant", _SENTINEL)], (), generation=False)
    before = answered[: max(0, answered.rfind(_SENTINEL))]
    begun = _OPENS_THOUGHT.search(asked)
    facts.thought = Thought()
    if before.startswith(asked):
        # White space alone stays with the answer: a tokenizer may merge it with the first word.
        opening = before[len(asked) :]
        if opening.strip():
            facts.thought = Thought(opening, "", *_marks(_ENDS_THOUGHT.search(opening)))
    elif begun is not None and asked[: begun.start()] == before:
        begins, ends = _marks(begun)
        gap = "\n" if begun[0].endswith("\n") else ""
        facts.thought = Thought(f"{gap}{ends}\n\n", begun[0], begins, ends)
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


def _thoughts_in(message: Message, thought: Thought) -> str:
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
            thoughts = guard_special_tokens(tokenizer, _thoughts_in(turn, thought))
            answer = text[len(bare) : len(text) - len(tail)] + end
            return thoughts + thought.close + answer.lstrip("\n") if thoughts else answer
    if not text.startswith(prompt_text):
        shared = next((i for i, (a, b) in enumerate(zip(text, prompt_text)) if a != b), len(text))
        raise ModelFault(
            "the model's chat template writes an answered conversation differently from the prompt it answers "
            f"(from character {shared}: prompt {prompt_text[shared : shared + 30]!r}, "
            f"answered {text[shared : shared + 30]!r})",
            hint="choose a model whose template keeps the prompt; what is trained must be what is served",
        )
    if not text.endswith(tail):
        raise ModelFault(
            f"the model's chat template ends this turn with {text[-30:]!r}, others with {tail!r}",
            hint="choose a model whose template ends all assistant turns alike",
        )
    written = text[len(prompt_text) : len(text) - len(tail)]
    refuse_lost_thoughts(tokenizer, turn, written)
    return written + end


def refuse_lost_thoughts(tokenizer: Tokenizer, turn: Message, written: str) -> None:
    """Refuse a turn whose thoughts are not in what the template has written of it.

    Raises:
        ModelFault: they stand in `reasoning_content`, or in `<think>` before the answer, and the template drops them.
    """
    thoughts = guard_special_tokens(tokenizer, turn.thoughts_and_answer()[0]).strip()
    if not thoughts or thoughts in written:
        return
    aside = turn.reasoning_content != ""
    raise ModelFault(
        f"{template_name(tokenizer)} leaves out the thoughts of this turn"
        + (" (reasoning_content)" if aside else " (<think> in its content)"),
        hint="write them into the content as the model would, or train without them: ignore: [reasoning_content]"
        if aside
        else "choose a model whose template keeps them, or take them out of the rows",
    )
