"""The catalogue: English templates and what they are in Chinese.

    {} rows were left out        an English template; {} is a value of the f-string that wrote it
      有 {} 行没有用               its Chinese, indented: {} in the same order, {1} where the order is another,
                                 {*} or {1*} where the value is a message itself; a value may be left out

`{s}` in English is an `s` or nothing, `\\n` a new line. Lines that begin with `#` are comments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count

__all__ = ["Catalogue", "Message", "entries", "normalise", "read_catalogue"]

VALUE = re.compile(r"\{\}")
PLACED = re.compile(r"\{(\d*)(\*?)\}")
WEAK = 14
"""Letters below which a template says so little that its values have to be short, and no sentences."""
LONGEST = 60
SENTENCE = re.compile(r"[.:;] \D|\n|\w (?!min\b|[kMG]?B\b)[a-z]{2,} \w")
LIST = re.compile(r"[\w.'-]+(, [\w.'-]+)+")


@dataclass(frozen=True, slots=True)
class Message:
    """An English template, cut at its values, and the Chinese one."""

    pieces: tuple[str, ...]
    chinese: str

    @property
    def letters(self) -> int:
        """How much of the template is text."""
        return sum(letter.isalpha() for piece in self.pieces for letter in piece)

    def values(self, text: str, *, late: bool = False) -> list[str] | None:
        """Return the values with which the template is this text, or None.

        Args:
            text: the finished text.
            late: where a piece stands several times, take its last place instead of its first.
        """
        first, *between = self.pieces
        last = between.pop()
        if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
            return None
        place, end, found = len(first), len(text) - len(last), []
        for piece in between:
            start = text.rfind(piece, place, end) if late and piece.strip() else text.find(piece, place, end)
            while start >= 0 and piece == " " and text.startswith("%", start + 1):  # `93.5 %` is one value
                start = text.find(piece, start + 1, end)
            if start < 0:
                return None
            found.append(text[place:start])
            place = start + len(piece)
        found.append(text[place:end])
        return found if self.letters >= WEAK or self.fits(found) else None

    def fits(self, values: list[str]) -> bool:
        """Return whether the values are such that a template with little text of its own may have made this one."""
        if len(values) == 1 and self.pieces[0].endswith(": ") and not self.pieces[1]:
            return True  # a name with whatever belongs to it
        messages = self.messages()
        for number, value in enumerate(values):
            if number in messages or LIST.fullmatch(value):
                continue
            if len(value) > LONGEST or SENTENCE.search(value) or ", " in value:
                return False
        return True

    def messages(self) -> set[int]:
        """Return the numbers of the values that are messages themselves."""
        places = count()
        named = [(int(number) if number else next(places), star) for number, star in PLACED.findall(self.chinese)]
        return {number for number, star in named if star}


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Texts without values by their English, and templates, those with the most text first."""

    texts: dict[str, str]
    messages: tuple[Message, ...]
    templates: dict[str, str]
    """Every English line as it stands, with its Chinese: what the text of a page is looked up in."""


def normalise(template: str) -> str:
    """Return a template as its key: without white space around it, values side by side as one."""
    return re.sub(r"(\{\})+", "{}", template.strip())


def entries(text: str) -> list[tuple[str, str]]:
    """Return the (English, Chinese) pairs of a catalogue file, in order."""
    found = []
    english = ""
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("  "):
            assert english, f"no English line before {line!r}"
            found.append((english, line[2:].replace("\\n", "\n")))
            english = ""
        else:
            assert not english, f"no Chinese line after {english!r}"
            english = line.replace("\\n", "\n")
    return found


@cache
def read_catalogue(name: str = "zh") -> Catalogue:
    """Return the catalogue of a language."""
    texts: dict[str, str] = {}
    messages = []
    pairs = entries((files("dizuo.languages") / f"{name}.txt").read_text("utf-8"))
    for english, chinese in pairs:
        for variant in {english.replace("{s}", ""), english.replace("{s}", "s")}:
            pieces = tuple(VALUE.split(variant))
            if len(pieces) == 1:
                texts[variant] = chinese
            else:
                messages.append(Message(pieces, chinese))
    messages.sort(key=lambda message: (-sum(map(len, message.pieces)), message.pieces))
    return Catalogue(texts, tuple(messages), dict(pairs))
