"""Token ids become text again, piece by piece, and half a character is never shown.

A Chinese character or an emoji may be spread over several tokens. `Detokenizer` holds back what is not yet a whole
character. Everything that was held back and turned out to be text comes out at the end, except bytes that never became
a character. The text then goes through `stop_strings.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Detokenizer", "TokenBytes"]

BROKEN = "\ufffd"
"""What a tokenizer writes for bytes that are no character."""


class Detokenizer:
    """Decodes the tokens of one answer.

    Tokens are decoded in a window that starts a few tokens early, since a tokenizer may write a token differently at
    the start of a text (the space of SentencePiece).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # of the window
        self._read = 0  # tokens whose text came out

    def add(self, ids: Sequence[int]) -> str:
        """Return the text that became certain with these tokens."""
        pieces = []
        for token in ids:
            self._ids.append(token)
            known, whole = self._decode(self._ids[self._start : self._read]), self._decode(self._ids[self._start :])
            if len(whole) > len(known) and not whole.endswith(BROKEN):
                pieces.append(whole[len(known) :])
                self._start, self._read = self._read, len(self._ids)
        return "".join(pieces)

    def finish(self) -> str:
        """Return what is left, without bytes that never became a character."""
        known, whole = self._decode(self._ids[self._start : self._read]), self._decode(self._ids[self._start :])
        self._start = self._read = len(self._ids)
        return whole[len(known) :].rstrip(BROKEN)

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


class TokenBytes:
    """Looks up the bytes of single tokens, for log-probabilities: half a character is shown by its bytes."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        self._special = set(tokenizer.all_special_ids)
        backend = getattr(tokenizer, "backend_tokenizer", None)
        description = json.loads(backend.to_str()) if backend is not None else {}
        self._byte_level = '"ByteLevel"' in json.dumps(description.get("decoder"))
        self._table = _byte_level_table() if self._byte_level else {}

    def of(self, token: int) -> bytes:
        """Return the bytes that a token stands for."""
        piece = str(self._tokenizer.convert_ids_to_tokens(token))
        if token in self._special:
            return piece.encode()
        if self._byte_level and all(char in self._table for char in piece):
            return bytes(self._table[char] for char in piece)
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return piece.replace("▁", " ").encode()


def _byte_level_table() -> dict[str, int]:
    """Return the byte behind each printable character of GPT-2's `bytes_to_unicode`."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + n): byte for n, byte in enumerate(others)}
