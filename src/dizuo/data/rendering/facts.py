"""What is known of a tokenizer and its template: worked out once, and kept as long as the tokenizer lives."""

from __future__ import annotations

import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field

from dizuo.data.rendering.tokenizer import Tokenizer
from dizuo.errors import DataError
from dizuo.models.vocabulary import reader_of

__all__ = ["GUARD", "Facts", "Spelling", "Thought", "facts_of", "guard_special_tokens"]

GUARD = "\uffff"
"""Put inside a special token that somebody typed, so that neither template nor tokenizer takes it for one. Unicode says
that it is no character and never will be."""


@dataclass(frozen=True, slots=True)
class Thought:
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


@dataclass(frozen=True, slots=True)
class Spelling:
    """In which form a template is handed calls; as transformers documents it, unless it writes none of those."""

    content_is_null: bool = False
    """An empty content beside calls is null: DeepSeek-R1 looks at calls only there."""
    arguments_are_text: bool = False
    """Arguments are JSON in a string: DeepSeek and Functionary add them to text."""


@dataclass(slots=True)
class Facts:
    """Facts about a tokenizer and its template, which are worked out once."""

    template: str | None
    special: tuple[str, ...]
    adds_bos: bool
    num_rows: int | None = None
    """Rows of the model's embedding, where the tokenizer came with a model."""
    end: str = ""
    tail: str = ""
    cuts: tuple[str, ...] = ()
    """The special tokens that the template writes, of the thousands that some vocabularies have."""
    thought: Thought | None = None
    """How the template writes thoughts; None until `_thought_of` has looked."""
    answers: dict[str, str] = field(default_factory=dict)
    """Completion: the text of the turn that gives it. A classification asks for the same few again and again."""
    encoded: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """(what stands before, text): ids of the text."""
    spelling: Spelling | None = None
    """How it wants calls; None until one is written."""
    asked_for_calls: bool = False
    """Whether `call_form` has been looked for."""
    call_form: object = None
    """How the template writes calls: see `calls.py`."""
    whole: set[Hashable] = field(default_factory=set)
    """Shapes of conversations of which the template writes every key."""


_known: weakref.WeakKeyDictionary[Tokenizer, Facts] = weakref.WeakKeyDictionary()


def facts_of(tokenizer: Tokenizer) -> Facts:
    """Return the facts about a tokenizer and the template that it has now."""
    facts = _known.get(tokenizer)
    if facts is None or facts.template != tokenizer.chat_template:
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        special = tuple(sorted({*tokenizer.all_special_tokens, *added} - {""}))
        bos = tokenizer.bos_token_id
        adds_bos = bos is not None and tokenizer("a")["input_ids"][:1] == [bos]
        reader = reader_of(tokenizer)
        rows = None if reader is None else reader.num_rows
        facts = _known[tokenizer] = Facts(tokenizer.chat_template, special, adds_bos, rows)
    return facts


def guard_special_tokens(tokenizer: Tokenizer, content: str) -> str:
    """Return a message in which no special token can be read, whoever typed it."""
    if GUARD in content:
        raise DataError(
            "a message holds U+FFFF, which is no character", hint="remove it; a broken export is the usual cause"
        )
    for token in facts_of(tokenizer).special:
        if token in content:
            content = content.replace(token, token[:1] + GUARD + token[1:])
    return content
