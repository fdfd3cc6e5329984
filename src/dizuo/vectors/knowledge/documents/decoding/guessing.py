"""A guess at the encoding of bytes that do not say it, by how likely the letters are that each encoding makes of them.

Every candidate decodes the same bytes; what comes out is scored as text of each language that is written in that
encoding (natural logarithms of rough probabilities, from `letters.py`), and the best sum wins. So a short text is
judged by all that is known of it: which letters, capitals within words, Latin letters inside Cyrillic words, Chinese
characters that nobody uses. Statistics of pairs of letters, as browsers have them, would be better with two or three
letters and would need megabytes; a guess is told to the user in any case.
"""

from __future__ import annotations

import codecs
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from dizuo.vectors.knowledge.documents.decoding.letters import LETTERS, PAIRS

__all__ = ["Candidate", "count_controls", "rank_encodings", "score_text"]

_WESTERN = ("de", "fr", "es", "pt", "it", "nl", "sv", "da", "nb", "fi", "is", "ca")
_CENTRAL = ("pl", "cs", "sk", "hu", "ro", "hr", "sl", "de")
_BALTIC = ("lt", "lv", "et", "pl")
_CYRILLIC = ("ru", "uk", "bg", "sr", "mk", "be")
_ALL = (*LETTERS, "en")
_ENCODINGS: dict[str, tuple[float, tuple[str, ...]]] = {
    "utf-8": (3.0, _ALL),
    "gb18030": (0.0, ("zh-CN", "zh-TW")),
    "big5hkscs": (-0.5, ("zh-TW",)),
    "cp932": (0.0, ("ja",)),
    "euc_jp": (-0.5, ("ja",)),
    "cp949": (0.0, ("ko",)),
    "cp1252": (1.5, ("en", *_WESTERN)),
    "cp1251": (0.0, _CYRILLIC),
    "koi8_r": (-0.5, ("ru", "bg")),
    "koi8_u": (-1.0, ("uk", "be", "ru")),
    "cp1250": (-0.5, _CENTRAL),
    "cp1253": (-0.5, ("el",)),
    "cp1254": (-0.5, ("tr",)),
    "cp1255": (-0.5, ("he",)),
    "cp1256": (-0.5, ("ar", "fa")),
    "cp1257": (-0.5, _BALTIC),
    "cp1258": (-1.0, ("vi",)),
    "cp874": (-0.5, ("th",)),
    "iso8859_2": (-1.0, _CENTRAL),
    "iso8859_5": (-1.5, _CYRILLIC),
    "iso8859_6": (-1.0, ("ar",)),
    "iso8859_7": (-1.0, ("el",)),
    "iso8859_8": (-1.0, ("he",)),
    "iso8859_13": (-1.5, _BALTIC),
    "iso8859_15": (-1.5, _WESTERN),
    "cp866": (-1.0, _CYRILLIC),
    "mac_cyrillic": (-2.5, _CYRILLIC),
    "mac_roman": (-1.5, _WESTERN),
    "cp437": (-2.0, _WESTERN),
    "cp850": (-1.5, _WESTERN),
    "cp852": (-2.0, _CENTRAL),
    "utf-16-le": (-1.0, _ALL),
    "utf-16-be": (-2.0, _ALL),
}
"""Codec → how likely it is before a look at the text, and the languages that are written in it."""
_IDEOGRAPHIC = ("zh-CN", "zh-TW", "ja", "ko")
_UNCASED = ("he", "ar", "fa", "th")
_ALPHABETIC = (*_CYRILLIC, "el")
_SHARE = 0.9
"""Of a language's letters: what those in its list make up."""
_RARE, _FOREIGN, _ODD, _BROKEN = -9.0, -11.0, -12.0, -16.0
"""A letter beyond the list; a letter of another language; a symbol; what no text has."""
_QUOTES = frozenset("“”„‘’‚«»‹›–—…·\xa0¿¡")
_SIGNS = frozenset("•°§№€£©®™")
_CJK_STOPS = frozenset("、。，！？：；「」『』（）《》〈〉【】・ー～　…—“”‘’")
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoding that bytes may be in."""

    codec: str
    score: float
    """Logarithm of a rough probability."""
    num_characters: int
    """Of the text that it makes of the bytes."""


def rank_encodings(raw: bytes, *, among: Sequence[str] | None = None, is_cut: bool = False) -> list[Candidate]:
    """Return the encodings that can be what the bytes are in, the likeliest first; empty where none can.

    Args:
        raw: the bytes, or the part of them that is looked at.
        among: codecs that are tried; all that are known unless set.
        is_cut: there is more of the text, so a character may be cut at the end.
    """
    found = []
    for codec in among or _ENCODINGS:
        try:
            text = codecs.getincrementaldecoder(codec)("strict").decode(raw, not is_cut)
        except UnicodeDecodeError:
            continue
        if codec == "cp1258":  # has its tones as characters of their own
            text = unicodedata.normalize("NFC", text)
        prior, languages = _ENCODINGS[codec]
        found.append(Candidate(codec, prior + score_text(text, languages), len(text)))
    return sorted(found, key=lambda candidate: -candidate.score)


def score_text(text: str, languages: Sequence[str] = _ALL) -> float:
    """Return the logarithm of how likely it is that somebody wrote this, in whichever of the languages fits best.

    >>> score_text("данные") > score_text("ДАННЫЕ".swapcase().title()) > score_text("äàííûå")
    True
    """
    characters = Counter(text)
    pairs = Counter(pairwise(text))
    return max(
        sum(count * _score_letter(character, language) for character, count in characters.items())
        + sum(count * _score_pair(first, second, language) for (first, second), count in pairs.items())
        for language in languages
    )


@cache
def _letter_scores(language: str) -> dict[str, float]:
    letters = LETTERS.get(language, "")
    offset = 20 if language in _IDEOGRAPHIC else 4
    weights = [1 / (rank + offset) for rank in range(len(letters))]
    share = _SHARE if language in _IDEOGRAPHIC or language in _UNCASED or language in _ALPHABETIC else 0.12
    return {letter: math.log(share * weight / sum(weights)) for letter, weight in zip(letters, weights, strict=True)}


@cache
def _score_letter(character: str, language: str) -> float:
    """Return the logarithm of a character's share of a language's texts."""
    if character.isascii():
        return _score_ascii(character)
    known = _letter_scores(language)
    if character in known:
        return known[character]
    if (small := character.lower()) in known and len(small) == 1:
        return known[small] - (2.0 if language in _ALPHABETIC else 1.5)
    if _CONTROL.match(character) or unicodedata.category(character) in ("Co", "Cn", "Cs"):
        return _BROKEN
    if character in (_CJK_STOPS if language in _IDEOGRAPHIC else _QUOTES):
        return -5.0
    if character in _SIGNS:
        return -7.0
    if "\uff61" <= character <= "\uff9f":  # half-width katakana are what other encodings look like in Shift_JIS
        return _FOREIGN
    if character.isalpha():
        return _score_ideograph(character, language) if language in _IDEOGRAPHIC else _FOREIGN
    return _ODD


def _score_ascii(character: str) -> float:
    if character.islower():
        return -3.2
    if character in " \n":
        return -2.0
    if _CONTROL.match(character):
        return _BROKEN
    return -5.0 if character.isupper() else -5.5


def _score_ideograph(character: str, language: str) -> float:
    """Return the score of a letter that is not among a language's commonest: national standards have two levels."""
    codec, second = {
        "zh-CN": ("gb2312", 0xD8), "zh-TW": ("big5", 0xC9), "ja": ("euc_jp", 0xD0), "ko": ("euc_kr", 0xCA)
    }[language]  # fmt: skip
    raw = character.encode(codec, "ignore")
    if len(raw) != 2:
        return -15.0
    return _RARE if raw[0] < second else -13.0


@cache
def _kind_of(character: str) -> str:
    """Return `a` or `A` for a letter of ASCII, `l` or `L` for another with case, `o` for one without, else nothing."""
    if character.isascii():
        return "" if not character.isalpha() else "a" if character.islower() else "A"
    if character.isalpha() or unicodedata.category(character).startswith("M"):
        return "l" if character.islower() else "L" if character.isupper() else "o"
    return ""


@cache
def _score_pair(first: str, second: str, language: str) -> float:
    """Return what two neighbours say beyond what each of them says."""
    kinds = _kind_of(first) + _kind_of(second)
    if second == "’" and first in " \n":
        return -5.0  # where it stands for an apostrophe or the end of a quotation, it follows a letter
    if (first.isascii() and second.isascii()) or not kinds:
        return 0.0
    if language in _IDEOGRAPHIC:
        return -2.5 if kinds in ("oa", "ao") else 0.0
    score = 0.0
    if len(kinds) == 2:
        if kinds[1] in "AL" and kinds[0] in "alo":
            score -= 4.0
        if (language in _ALPHABETIC or language in _UNCASED) and (kinds[0] in "aA") != (kinds[1] in "aA"):
            score -= 4.0
    elif first not in " \n" and second not in " \n":
        return -3.0 if first in _SIGNS else 0.0
    pair = f"{first}{second}".lower().replace("\n", " ")
    return score + (0.8 if pair in PAIRS.get(language, ()) else -1.2)


def count_controls(text: str) -> int:
    """Return how many characters are of those that texts do not have."""
    return len(_CONTROL.findall(text))
