"""Says when two rows are the same: by keys of what the model reads and of what it is taught.

Texts are compared after Unicode NFKC, folding of case, white space and sentence punctuation, so that copies which
differ only in typography are found ("Is my top-up done?" and "is my top up done"). Signs that carry meaning stay:
`+ < > = / % $`, a hyphen beside a digit, a point between digits. Keys are 64 bits of BLAKE2b; among ten million rows
one false pair is expected in 370,000 sets.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence

from dizuo.records import Chat, Example, Feedback, Labelled, Message, Preference, Text

__all__ = ["answer_of", "input_of", "key", "normalise", "num_words", "order_key", "shorten"]

_PUNCTUATION = re.compile(
    r"(?<!\d)[.,:]|[.,:](?!\d)|(?<=[^\W\d_])-(?=[^\W\d_])|[;!?'\"`´‘’“”„«»…()\[\]。、「」『』【】《》·—–]"
)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af]")


def normalise(text: str) -> str:
    """Return text with compatibility forms, case, sentence punctuation and white space folded.

    A text of nothing but punctuation keeps it: "?" and "!" stay two texts.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_PUNCTUATION.sub(" ", folded).split()) or " ".join(folded.split())


def key(text: str) -> int:
    """Return 64 bits that name a text after normalising."""
    digest = hashlib.blake2b(normalise(text).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


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


def input_of(example: Example) -> str:
    """Return what the model reads before it answers, as one string."""
    if isinstance(example, Labelled):
        return example.text
    if isinstance(example, Text):
        return example.prompt or example.text
    if isinstance(example, Chat):
        last = max((i for i, m in enumerate(example.messages) if m.role == "assistant"), default=len(example.messages))
        return _turns(example.messages[:last])
    if isinstance(example, Preference | Feedback):
        return _turns(example.prompt)
    return example.anchor


def answer_of(example: Example) -> str:
    """Return what is taught on top of the input, as one string."""
    if isinstance(example, Labelled):
        return "\n".join(example.labels)
    if isinstance(example, Text):
        return example.text
    if isinstance(example, Chat):
        return _turns(example.messages[-1:])
    if isinstance(example, Preference):
        return f"{_turns(example.chosen)}\n≻\n{_turns(example.rejected)}"
    if isinstance(example, Feedback):
        return f"{_turns(example.completion)}\n{example.desirable}"
    return example.positive


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


def _turns(messages: Sequence[Message]) -> str:
    parts = []
    for message in messages:
        calls = json.dumps(message.tool_calls, ensure_ascii=False, sort_keys=True) if message.tool_calls else ""
        parts.append(f"{message.role}: {message.content}{calls}")
    return "\n".join(parts)
