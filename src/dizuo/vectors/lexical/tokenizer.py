"""The tokenizer of all databases: words where a script has spaces, bigrams where it has none.

    document_tokens("数据库检索 with BM25")   数据 据库 库检 检索 数 据 库 检 索 with bm25
    query_tokens("检索")                     检索

1. Text is brought to one form: NFKC, casefold, NFKC; soft hyphens, joiners and variation selectors vanish.
2. A word is a run of letters, digits and combining marks. Everything else separates, `_` and `'` too.
3. Inside a word, a run of an unspaced script is cut out: Han, kana and Bopomofo (one class, since Japanese mixes them
   within words), Hangul (Korean has spaces, but glues its particles to the noun: 데이터베이스를 must be found by
   데이터베이스), Thai, Lao, Khmer and Myanmar. It becomes its overlapping pairs of characters. In a document its
   single characters follow as well, so that a query of one character is answered; a query of more asks for pairs only.
4. A word longer than 64 characters (a hash, base64) is cut into pieces of 64.

So any two or more neighbouring characters of an unspaced run, and any single one, find the document they stand in.
Accents and kana kinds are kept apart. Nothing is stemmed and no stop word is dropped: BM25's weights see to those.

`TOKENIZER` names the rules; an index written under another name must be built again.
Bigrams and characters for Chinese: Nie, Gao, Zhang & Zhou, IRAL 2000, "On the use of words and n-grams".
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

__all__ = ["LONGEST_WORD", "TOKENIZER", "document_tokens", "query_tokens"]

TOKENIZER = "dizuo-1"
LONGEST_WORD = 64
"""Characters of the longest token; 256 bytes at most, below what the index of every database accepts."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
# Han (々〆〇 and the supplementary planes with it), kana with ー, Bopomofo, Hangul, Thai, Lao, Myanmar, Khmer.
_UNSPACED_RANGES = (
    "\u3005-\u3007\u303b\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97f\uac00-\ud7ff"
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecd\u0edc-\u0eff\u1000-\u103f\u1050-\u108f\ua9e0-\ua9ef\uaa60-\uaa7f"
    "\u1780-\u17d3\u17d7-\u17dd"
)
_UNSPACED = re.compile(f"[{_UNSPACED_RANGES}]+")
# Soft hyphen, ZWNJ, ZWJ, word joiner, byte order mark, variation selectors.
_INVISIBLE = re.compile("[\u00ad\u200c\u200d\u2060\ufeff\ufe00-\ufe0f\U000e0100-\U000e01ef]")


def document_tokens(text: str) -> list[str]:
    """Return the tokens of a document's text, repetitions included; their number is the document's length for BM25."""
    if text.isascii():
        words = _ASCII_WORD.findall(text.lower())
        if not words or max(map(len, words)) <= LONGEST_WORD:
            return words
        return [piece for word in words for piece in _pieces(word)]
    tokens: list[str] = []
    for run, unspaced in _runs(text):
        if unspaced:
            tokens.extend(map(str.__add__, run, run[1:]))
            tokens.extend(run)
        else:
            tokens.extend(_pieces(run))
    return tokens


def query_tokens(text: str) -> list[str]:
    """Return the distinct tokens of a query, sorted; a token that occurs twice in a query counts once."""
    if text.isascii():
        return sorted(set(document_tokens(text)))
    tokens: set[str] = set()
    for run, unspaced in _runs(text):
        if unspaced:
            tokens.update(map(str.__add__, run, run[1:]) if len(run) > 1 else (run,))
        else:
            tokens.update(_pieces(run))
    return sorted(tokens)


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield (run of word characters, whether its script is unspaced)."""
    for word in _word().findall(_normalize(text)):
        if word.isascii():
            yield word, False
            continue
        last = 0
        for match in _UNSPACED.finditer(word):
            if match.start() > last:
                yield word[last : match.start()], False
            yield match[0], True
            last = match.end()
        if last < len(word):
            yield word[last:], False


def _normalize(text: str) -> str:
    """Return NFKC_Casefold of a text (Unicode 3.13, D147), as far as the standard library has it."""
    if _INVISIBLE.search(text):
        text = _INVISIBLE.sub("", text)
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _INVISIBLE.sub("", folded) if _INVISIBLE.search(folded) else folded


def _pieces(word: str) -> list[str]:
    if len(word) <= LONGEST_WORD:
        return [word]
    return [word[start : start + LONGEST_WORD] for start in range(0, len(word), LONGEST_WORD)]


@functools.cache
def _word() -> re.Pattern[str]:
    r"""Return the pattern of a word: letters, digits and marks. Python's `\w` has no marks, and cuts हिन्दी in four."""
    ranges: tuple[list[list[int]], list[list[int]]] = ([], [])
    for code in range(0x300, 0x20000):
        if unicodedata.category(chr(code)) in ("Mn", "Mc"):
            plane = ranges[code > 0xFFFF]
            if plane and plane[-1][1] == code - 1:
                plane[-1][1] = code
            else:
                plane.append([code, code])
    # Two classes, because `re` looks up a class in a table only when all of it lies in the basic plane.
    basic, beyond = ("".join(f"{chr(first)}-{chr(last)}" for first, last in plane) for plane in ranges)
    return re.compile(rf"(?:[^\W_]+|[{basic}]+|(?=[\U00010000-\U0001ffff])[{beyond}]+)+")
