"""Finds characters that a model's tokenizer cannot write: they reach the model as unknown tokens, or not at all.

Byte-level vocabularies can lack bytes (SmolLM2's lacks six control characters and what begins with 0xF1 or 0xF2), and
vocabularies without bytes lack whole scripts. Each distinct character of the data is tried once, so this costs a pass
over the text and little more.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.records import Chat, Example, Feedback, Json, Labelled, Message, Origin, Preference, Text, TextPair

__all__ = ["Lost", "find_lost", "lost_characters"]

SHOWN = 5


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows with characters that the tokenizer cannot write."""

    rows: int
    characters: tuple[str, ...]
    """All of them, in the order of their code points."""
    places: tuple[Origin, ...]
    """Where the first few of the rows stand."""

    def __str__(self) -> str:
        shown = ", ".join(_name(character) for character in self.characters[:SHOWN])
        more = f" and {len(self.characters) - SHOWN:,} more" if len(self.characters) > SHOWN else ""
        rows = "1 row holds" if self.rows == 1 else f"{self.rows:,} rows hold"
        where = ", ".join(str(place) for place in self.places)
        rest = f" and {self.rows - len(self.places):,} more" if self.rows > len(self.places) else ""
        return f"{rows} characters that the model's tokenizer cannot write: {shown}{more} (at {where}{rest})"


def find_lost(examples: Iterable[Example], tokenizer: Tokenizer) -> Lost | None:
    """Return the rows that hold characters which a tokenizer cannot write, or None where there are none.

    Args:
        examples: read once.
        tokenizer: a transformers tokenizer.
    """
    good: set[str] = set()
    bad: set[str] = set()
    rows = 0
    places: list[Origin] = []
    for example in examples:
        here = _characters(example)
        new = here - good - bad
        if new:
            lost = lost_characters(tokenizer, new)
            bad |= lost
            good |= new - lost
        if bad and not here.isdisjoint(bad):
            rows += 1
            if len(places) < SHOWN:
                places.append(example.origin)
    return Lost(rows, tuple(sorted(bad)), tuple(places)) if rows else None


def lost_characters(tokenizer: Tokenizer, characters: Iterable[str]) -> set[str]:
    """Return those of the characters that come back from the tokenizer as unknown, as another, or not at all.

    What a normaliser changes on purpose (case, compatibility forms, accents, white space) counts as written.
    """
    known = [character for character in characters if not _is_white(character)]
    if not known:
        return set()
    encoded = tokenizer(known, add_special_tokens=False)["input_ids"]
    unknown = tokenizer.unk_token_id
    lost = set()
    for character, ids in zip(known, encoded, strict=True):
        is_unknown = unknown is not None and unknown in ids and tokenizer.unk_token != character
        back = "" if is_unknown else tokenizer.decode(ids, clean_up_tokenization_spaces=False)
        if is_unknown or _folded(character) not in _folded(back):
            lost.add(character)
    return lost


def _is_white(character: str) -> bool:
    return character in "\t\n\v\f\r\x85" or unicodedata.category(character).startswith("Z")


def _characters(example: Example) -> set[str]:
    """Return every character of an example that is rendered for the model."""
    match example:
        case Text():
            texts = [example.prompt, example.text]
        case Labelled():
            texts = [example.text, *example.labels]
        case Chat():
            texts = [*_said(example.messages), *_called(example.tools)]
        case Preference():
            texts = [*_said((*example.prompt, *example.chosen, *example.rejected)), *_called(example.tools)]
        case Feedback():
            texts = [*_said((*example.prompt, *example.completion)), *_called(example.tools)]
        case TextPair():
            texts = [example.anchor, example.positive, *example.negatives]
    return set().union(*texts)


def _said(messages: Sequence[Message]) -> list[str]:
    texts = [text for message in messages for text in (message.content, message.reasoning_content)]
    return [*texts, *(text for message in messages for text in _called(message.tool_calls))]


def _called(calls: Sequence[Mapping[str, Json]]) -> list[str]:
    """Return what tools or calls hold, as JSON: templates write them so, or in pieces."""
    return [json.dumps(calls, ensure_ascii=False)] if calls else []


def _folded(text: str) -> str:
    """Return the text without what normalisers take off."""
    plain = unicodedata.normalize("NFKD", text).casefold()
    return "".join(character for character in plain if not unicodedata.combining(character))


def _name(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"{character} ({code})" if character.isprintable() else code
