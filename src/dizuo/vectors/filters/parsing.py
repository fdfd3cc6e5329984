"""The text form of filters, for the shell: `lang == "zh" and year >= 2020`.

    filter  := both ("or" both)*
    both    := one ("and" one)*
    one     := "not" one | "(" filter ")" | "true" | "false" | "exists" key | "exists" "(" key ")" | key test
    test    := ("==" | "=" | "!=" | "<" | "<=" | ">" | ">=") value
             | ["not"] "in" ("[" | "(") [value ("," value)*] ("]" | ")")
             | ["not"] "contains" value | ["not"] "startswith" text
    key     := letters, digits, _ . - (not first) | a name in backquotes, as in `source file`
    value   := "text" | 'text' | number | true | false | null

Text takes JSON's escapes. `parse(str(f))` means the same as f: `tree.py` writes what is read here.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from dizuo.errors import VectorError
from dizuo.vectors.filters.tree import RESERVED, And, Field, Filter, Not, Or, field

__all__ = ["parse"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<key>`(?:[^`\\]|\\.)+`)
    | (?P<sign>==|!=|<=|>=|=|<|>|\(|\)|\[|\]|,)
    | (?P<word>[^\W\d][\w.\-]*)
    )""",
    re.VERBOSE,
)


@functools.lru_cache(256)
def parse(source: str) -> Filter:
    """Return the filter that a text means.

    Raises:
        VectorError: the text is no filter; the message points at the place.
    """
    return _Reader(source).whole()


class _Reader:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[tuple[str, str, int]] = []
        at = 0
        while at < len(source.rstrip()):
            match = _TOKEN.match(source, at)
            if match is None:
                start = at + len(source[at:]) - len(source[at:].lstrip())
                raise self.fault("this is no part of a filter", start)
            kind = str(match.lastgroup)
            self.tokens.append((kind, match[kind], match.start(kind)))
            at = match.end()
        self.at = 0

    def fault(self, what: str, place: int | None = None) -> VectorError:
        if place is None:
            place = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.source)
        return VectorError(
            f"the filter cannot be read: {what}",
            details=[self.source, " " * place + "^"],
            hint="write it like: lang == \"zh\" and (year >= 2020 or tags contains 'new')",
        )

    def word(self, *words: str) -> bool:
        """Take the next token where it is one of these words or signs."""
        if self.at < len(self.tokens):
            kind, value, _ = self.tokens[self.at]
            if kind in ("word", "sign") and value.lower() in words:
                self.at += 1
                return True
        return False

    def whole(self) -> Filter:
        if not self.tokens:
            raise self.fault("it is empty", 0)
        found = self.any_of()
        if self.at < len(self.tokens):
            raise self.fault("it should end here, or go on with `and` or `or`")
        return found

    def any_of(self) -> Filter:
        parts = [self.all_of()]
        while self.word("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Filter:
        parts = [self.one()]
        while self.word("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def one(self) -> Filter:
        if self.word("not"):
            return Not(self.one())
        if self.word("("):
            inner = self.any_of()
            if not self.word(")"):
                raise self.fault("`)` is missing")
            return inner
        if self.word("true"):
            return And(())
        if self.word("false"):
            return Or(())
        if self.word("exists"):
            bracket = self.word("(")
            found = self.key().exists()
            if bracket and not self.word(")"):
                raise self.fault("`)` is missing")
            return found
        return self.test(self.key())

    def key(self) -> Field:
        if self.at >= len(self.tokens):
            raise self.fault("a key is missing")
        kind, value, _ = self.tokens[self.at]
        if kind == "key":
            self.at += 1
            swaps = {'"': '\\"', "\\`": "`"}
            return field(self.unescape(re.sub(r'\\.|"', lambda m: swaps.get(m[0], m[0]), value[1:-1])))
        if kind != "word" or value.lower() in RESERVED:
            raise self.fault("a key is expected")
        self.at += 1
        return field(value)

    def test(self, key: Field) -> Filter:
        start = self.at
        for sign in ("==", "=", "!=", "<", "<=", ">", ">="):
            if self.word(sign):
                name = {"=": "__eq__", "==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__"}
                value = self.value()
                try:
                    found: Filter = getattr(key, name.get(sign, "__ge__"))(value)
                except VectorError as error:
                    raise self.fault(error.message, self.tokens[start][2]) from None
                return found
        negated = self.word("not")
        found = self.named(key)
        return Not(found) if negated else found

    def named(self, key: Field) -> Filter:
        if self.word("in"):
            return key.in_(self.values())
        if self.word("contains"):
            return key.contains(self.value())
        if self.word("startswith"):
            place, prefix = self.at, self.value()
            if not isinstance(prefix, str):
                raise self.fault("startswith takes text", self.tokens[place][2])
            return key.startswith(prefix)
        raise self.fault("a comparison is expected: ==, !=, <, <=, >, >=, in, contains or startswith")

    def values(self) -> list[Any]:
        close = "]" if self.word("[") else ")" if self.word("(") else ""
        if not close:
            raise self.fault("a list is expected, as in [1, 2]")
        out: list[Any] = []
        if self.word(close):
            return out
        while True:
            out.append(self.value())
            if self.word(close):
                return out
            if not self.word(","):
                raise self.fault(f"`,` or `{close}` is expected")

    def value(self) -> Any:
        if self.at >= len(self.tokens):
            raise self.fault("a value is missing")
        kind, value, _ = self.tokens[self.at]
        if kind == "number":
            self.at += 1
            return int(value) if re.fullmatch(r"[-+]?\d+", value) else float(value)
        if kind == "text":
            inner = value[1:-1]
            if value[0] == "'":
                inner = re.sub(r'\\(.)|"', lambda m: '\\"' if m[0] == '"' else "'" if m[1] == "'" else m[0], inner)
            self.at += 1
            return self.unescape(inner)
        words: dict[str, bool | None] = {"true": True, "false": False, "null": None, "none": None}
        if kind == "word" and value.lower() in words:
            self.at += 1
            return words[value.lower()]
        raise self.fault('a value is expected: "text", a number, true, false or null')

    def unescape(self, inner: str) -> str:
        place = self.tokens[max(0, self.at - 1)][2]
        try:
            value = json.loads(f'"{inner}"', strict=False)
        except json.JSONDecodeError:
            raise self.fault("the text has an escape that JSON does not know", place) from None
        return str(value)
