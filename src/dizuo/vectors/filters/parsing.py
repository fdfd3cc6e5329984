"""The text form of a filter becomes the filter: `lang == "zh" and year >= 2020`, as it is typed in a shell.

    filter  := both ("or" both)*
    both    := one ("and" one)*
    one     := "not" one | "(" filter ")" | "true" | "false" | "exists" key | "exists" "(" key ")" | key test
    test    := ("==" | "=" | "!=" | "<" | "<=" | ">" | ">=") value
             | ["not"] "in" ("[" | "(") [value ("," value)*] ("]" | ")")
             | ["not"] "contains" value | ["not"] "startswith" text
    key     := letters, digits, _ . - (not first) | a name in backquotes, as in `source file`
    value   := "text" | 'text' | number | true | false | null

Text takes the escapes of JSON. `str(filter)` writes the same form (`tree.py`): `parse(str(f))` means the same as f.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from dizuo.errors import VectorError
from dizuo.vectors.filters.normalising import DEEPEST
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
    """Return the filter that a text stands for.

    Raises:
        VectorError: the text cannot be read; the message points at the place.
    """
    return _Parser(source).parse_all()


class _Parser:
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
        self.at = self.levels = 0

    def fault(self, what: str, column: int | None = None) -> VectorError:
        if column is None:
            column = self.tokens[self.at][2] if self.at < len(self.tokens) else len(self.source)
        return VectorError(
            f"the filter cannot be read: {what}",
            details=[self.source, " " * column + "^"],
            hint="write it like: lang == \"zh\" and (year >= 2020 or tags contains 'new')",
        )

    def accept(self, *words: str) -> bool:
        """Return whether the next token is one of these words or signs; if it is, go on to the token after it."""
        if self.at < len(self.tokens):
            kind, value, _ = self.tokens[self.at]
            if kind in ("word", "sign") and value.lower() in words:
                self.at += 1
                return True
        return False

    def parse_all(self) -> Filter:
        """Return the filter of the whole text."""
        if not self.tokens:
            raise self.fault("it is empty", 0)
        filter = self.parse_or()
        if self.at < len(self.tokens):
            raise self.fault("it should end here, or go on with `and` or `or`")
        return filter

    def parse_or(self) -> Filter:
        parts = [self.parse_and()]
        while self.accept("or"):
            parts.append(self.parse_and())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def parse_and(self) -> Filter:
        parts = [self.parse_not()]
        while self.accept("and"):
            parts.append(self.parse_not())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def parse_not(self) -> Filter:
        self.levels += 1
        if self.levels > DEEPEST + 1:  # the whole text is no level of its own
            raise VectorError(f"the filter nests more than {DEEPEST} levels deep", hint="write it with fewer brackets")
        filter = self.parse_one()
        self.levels -= 1
        return filter

    def parse_one(self) -> Filter:
        if self.accept("not"):
            return Not(self.parse_not())
        if self.accept("("):
            inner = self.parse_or()
            if not self.accept(")"):
                raise self.fault("`)` is missing")
            return inner
        if self.accept("true"):
            return And(())
        if self.accept("false"):
            return Or(())
        if self.accept("exists"):
            bracket = self.accept("(")
            test = self.parse_key().exists()
            if bracket and not self.accept(")"):
                raise self.fault("`)` is missing")
            return test
        return self.parse_test(self.parse_key())

    def parse_key(self) -> Field:
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

    def parse_test(self, key: Field) -> Filter:
        start = self.at
        for sign in ("==", "=", "!=", "<", "<=", ">", ">="):
            if self.accept(sign):
                name = {"=": "__eq__", "==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__"}
                value = self.parse_value()
                try:
                    test: Filter = getattr(key, name.get(sign, "__ge__"))(value)
                except VectorError as error:
                    raise self.fault(error.message, self.tokens[start][2]) from None
                return test
        negated = self.accept("not")
        test = self.parse_word_test(key)
        return Not(test) if negated else test

    def parse_word_test(self, key: Field) -> Filter:
        if self.accept("in"):
            return key.in_(self.parse_values())
        if self.accept("contains"):
            return key.contains(self.parse_value())
        if self.accept("startswith"):
            start, prefix = self.at, self.parse_value()
            if not isinstance(prefix, str):
                raise self.fault("startswith takes text", self.tokens[start][2])
            return key.startswith(prefix)
        raise self.fault("a comparison is expected: ==, !=, <, <=, >, >=, in, contains or startswith")

    def parse_values(self) -> list[Any]:
        close = "]" if self.accept("[") else ")" if self.accept("(") else ""
        if not close:
            raise self.fault("a list is expected, as in [1, 2]")
        values: list[Any] = []
        if self.accept(close):
            return values
        while True:
            values.append(self.parse_value())
            if self.accept(close):
                return values
            if not self.accept(","):
                raise self.fault(f"`,` or `{close}` is expected")

    def parse_value(self) -> Any:
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
        column = self.tokens[max(0, self.at - 1)][2]
        try:
            value = json.loads(f'"{inner}"', strict=False)
        except json.JSONDecodeError:
            raise self.fault("the text has an escape that JSON does not know", column) from None
        return str(value)
