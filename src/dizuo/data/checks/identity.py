"""Says when two rows are the same: by keys of what the model reads and of what it is taught.

Questions are compared after Unicode NFKC, folding of case, white space and sentence punctuation, so that copies which
differ only in typography are found ("Is my top-up done?" and "is my top up done"). Signs that carry meaning stay:
`+ < > = / % $`, a hyphen beside a digit, a point between digits; so does the indentation of lines. Answers are compared
as they stand: rows are copies where questions read the same and the answers *are* the same, tools and weights
included. Two answers to questions that differ in anything at all ("2\u00b2" and "22") contradict nothing.

Keys are 64 bits of BLAKE2b; among ten million rows one false pair is expected in 370,000 sets. The keys of a
conversation are chained from turn to turn, so that all its openings cost no more than reading it once.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from dizuo.records import Chat, Example, Feedback, Labelled, Message, Preference, Text, TextPair

__all__ = ["Keys", "key", "keys_of", "normalise", "num_words", "order_key", "question_keys", "shorten"]

_PUNCTUATION = re.compile(
    r"(?<!\d)[.,:]|[.,:](?!\d)|(?<=[^\W\d_])-(?=[^\W\d_])|[;!?'\"`´‘’“”„«»…()\[\]。、「」『』【】《》·—–]"
)
_INDENTED = re.compile(r"\n[ \t]+\S")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")


@dataclass(frozen=True, slots=True)
class Keys:
    """What a row is told by."""

    question: int
    """What the model reads before its last answer, after normalising: rows with one question stay on one side of a
    split."""
    exact: int
    """The same as it stands: only rows with equal ones have the same question."""
    full: int
    """The question after normalising and all that is taught, as it stands: rows with equal ones are copies."""
    openings: tuple[int, ...] = ()
    """The questions before the other answers of a conversation, after normalising. A row whose question is among them
    is a part of this one."""


def normalise(text: str) -> str:
    """Return text with compatibility forms, case, sentence punctuation and white space folded.

    A text of nothing but punctuation keeps it: "?" and "!" stay two texts. Where lines are indented, as in code, line
    breaks and indentation stay.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    if _INDENTED.search(folded):
        lines = folded.split("\n")
        return "\n".join(_indentation(line) + _fold(line) for line in lines if line.strip())
    return _fold(folded)


def _fold(folded: str) -> str:
    return " ".join(_PUNCTUATION.sub(" ", folded).split()) or " ".join(folded.split())


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def key(text: str) -> int:
    """Return 64 bits that name a text after normalising."""
    return _digest(b"", normalise(text))


def order_key(identity: str, seed: int) -> int:
    """Return the place of a row in the seeded order; it depends on the row's content and the seed alone."""
    digest = hashlib.blake2b(identity.encode(), digest_size=8, key=f"dizuo {seed}".encode()).digest()
    return int.from_bytes(digest, "little")


def shuffled(order: int) -> int:
    """Return a row's place on disk: unrelated to `order`, by which rows are chosen for a split, and as reproducible.

    What a split leaves over is not in random order by the key that chose: a label whose quota fills last is missing
    from the first rows that are left.
    """
    return int.from_bytes(hashlib.blake2b(order.to_bytes(8, "little"), digest_size=8).digest(), "little")


def question_keys(example: Example) -> tuple[int, ...]:
    """Return the keys of every question that an example holds an answer to; the last is the one it is scored on."""
    keys = keys_of(example)
    return (*keys.openings, keys.question)


def keys_of(example: Example) -> Keys:
    """Return the keys of an example."""
    match example:
        case Labelled():
            return _keys(example.text, "\n".join(example.labels))
        case Text():
            if example.prompt:
                return _keys(example.prompt, example.text.strip())
            question = key(example.text)
            return Keys(question, _digest(b"", example.text.strip()), question)
        case TextPair():
            return _keys(example.anchor, example.positive)
        case Chat():
            last = max((i for i, m in enumerate(example.messages) if m.role == "assistant"), default=-1)
            asked = example.messages[:last] if last >= 0 else example.messages
            taught = [_exactly(m) for m in example.messages[:last] if m.role == "assistant" and m.weight > 0]
            taught += [_exactly(m) for m in example.messages[last:]] if last >= 0 else []
            return _conversation(asked, example.tools, taught)
        case Preference():
            sides = [*map(_exactly, example.chosen), ">", *map(_exactly, example.rejected)]
            keys = _conversation(example.prompt, example.tools, sides)
            return _with_further(keys, example.prompt, (example.chosen, example.rejected), example.tools)
        case Feedback():
            taught = [*map(_exactly, example.completion), str(example.desirable)]
            keys = _conversation(example.prompt, example.tools, taught)
            return _with_further(keys, example.prompt, (example.completion,), example.tools)


def _keys(asked: str, taught: str) -> Keys:
    question = key(asked)
    return Keys(question, _digest(b"", asked.strip()), _digest(question.to_bytes(8, "little"), taught))


def _conversation(asked: Sequence[Message], tools: object, taught: Sequence[str]) -> Keys:
    start = json.dumps(tools, ensure_ascii=False, sort_keys=True) if tools else ""
    loose = list(_chain(asked, start, normalise))
    *_, exact = _chain(asked, start, str.strip)
    full = _digest(loose[-1].to_bytes(8, "little"), json.dumps(taught, ensure_ascii=False))
    openings = tuple(loose[i] for i, message in enumerate(asked) if message.role == "assistant")
    return Keys(loose[-1], exact, full, openings)


def _with_further(keys: Keys, prompt: Sequence[Message], answers: Sequence[Sequence[Message]], tools: object) -> Keys:
    """Return the keys with the questions inside answers of several turns: what follows them is taught as well."""
    further: list[int] = []
    for answer in answers:
        if len(answer) > 1:
            start = json.dumps(tools, ensure_ascii=False, sort_keys=True) if tools else ""
            chain = list(_chain((*prompt, *answer), start, normalise))[len(prompt) + 1 :]
            further += [key for key, message in zip(chain, answer[1:]) if message.role == "assistant"]
    return replace(keys, openings=(*keys.openings, *dict.fromkeys(further))) if further else keys


def _chain(messages: Sequence[Message], start: str, fold: Callable[[str], str]) -> Iterator[int]:
    """Yield the key of nothing, of the first message, of the first two, …"""
    so_far = _digest(b"", start)
    yield so_far
    for message in messages:
        turn = [message.role, fold(message.content), *_beside(message)]
        so_far = _digest(so_far.to_bytes(8, "little"), json.dumps(turn, ensure_ascii=False))
        yield so_far


def _exactly(message: Message) -> str:
    """Return all of a turn that can be taught."""
    weight = [] if message.weight == 1 else [str(message.weight)]
    turn = [message.role, message.content.strip(), *_beside(message), *weight]
    return json.dumps(turn, ensure_ascii=False)


def _beside(message: Message) -> list[str]:
    """Return what a turn holds beside its content."""
    calls = json.dumps(message.tool_calls, ensure_ascii=False, sort_keys=True) if message.tool_calls else ""
    beside = [calls, message.reasoning_content, message.name or ""]
    return beside if any(beside) else []


def _digest(before: bytes, text: str) -> int:
    digest = hashlib.blake2b(before + text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def num_words(text: str) -> int:
    """Return the number of words; every Chinese, Japanese or Korean character counts as one."""
    cjk = len(_CJK.findall(text))
    return cjk + len(_CJK.sub(" ", text).split()) if cjk else len(text.split())


def shorten(text: str, *, words: int, chars: int) -> str:
    """Return the opening of a text: at most so many words and characters (0: no limit), line breaks kept.

    The first line, mostly a headline, counts like any other. A character limit cuts at the last white space within
    it, where there is some in its second half.
    """
    if words:
        matches = re.finditer(r"\S+", text)
        end = None
        for count, match in enumerate(matches, start=1):
            if count == words:
                end = match.end()
            elif count > words:
                text = text[:end]
                break
    if chars and len(text) > chars:
        cut = max((m.start() for m in re.finditer(r"\s", text[: chars + 1])), default=0)
        text = text[: cut if cut >= chars / 2 else chars].rstrip()
    return text
