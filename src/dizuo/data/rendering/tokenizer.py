"""What dizuo uses of a transformers tokenizer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, overload

from dizuo.records import Json

__all__ = ["Tokenizer"]


class _AddedToken(Protocol):
    @property
    def special(self) -> bool: ...


class Tokenizer(Protocol):
    """A transformers tokenizer, or anything that has these names of it."""

    chat_template: str | None

    def __len__(self) -> int: ...
    @property
    def bos_token(self) -> str | None: ...
    @property
    def bos_token_id(self) -> int | None: ...
    @property
    def eos_token(self) -> str | None: ...
    @property
    def eos_token_id(self) -> int | None: ...
    @property
    def pad_token_id(self) -> int | None: ...
    @property
    def unk_token(self) -> str | None: ...
    @property
    def unk_token_id(self) -> int | None: ...
    @property
    def all_special_tokens(self) -> list[str]: ...
    @property
    def added_tokens_decoder(self) -> Mapping[int, _AddedToken]: ...

    @overload
    def __call__(self, text: str, *, add_special_tokens: bool = True) -> Mapping[str, list[int]]: ...
    @overload
    def __call__(self, text: list[str], *, add_special_tokens: bool = True) -> Mapping[str, list[list[int]]]: ...

    def decode(
        self,
        token_ids: list[int],
        *,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """Return the text of token ids."""

    def convert_ids_to_tokens(self, ids: int) -> str:
        """Return a token as the vocabulary writes it."""

    def get_chat_template(self, chat_template: str | None, tools: list[Mapping[str, Json]] | None) -> str:
        """Return the template that a conversation with these tools is written with."""

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Json]],
        *,
        tools: list[dict[str, Json]] | None,
        add_generation_prompt: bool,
        tokenize: bool,
        chat_template: str | None = None,
    ) -> str:
        """Return a conversation as the template writes it; the tokenizer's own where none is given."""
