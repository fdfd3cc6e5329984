"""Marqo's filter language, for its emulator: `field:value`, `field:[1 TO 3]`, `field IN (a, b)`, AND, OR, NOT, ( ).

After `core/search/search_filter.py` of Marqo 2.13: AND binds closer than OR, NOT takes a term or what is in brackets,
a range has both ends included and numbers only, a value ends at a space or a bracket unless it is escaped. Texts are
compared without regard to case, as Vespa does by default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]
TOKEN = re.compile(
    r"\s*(?:(?P<word>AND|OR|NOT)(?=[\s(])|(?P<open>\()|(?P<close>\))"
    r"|(?P<in>\w+) IN \((?P<list>[^()]*)\)"
    r"|(?P<range>\w+):\[(?P<low>\S+) TO (?P<high>[^\s\]]+)\]"
    r"|(?P<field>\w+):(?P<value>(?:\\.|[^\s()\\])+))"
)
TYPES = {"text", "array<text>", "int", "long", "float", "double", "bool"}


class Bad(Exception):
    """The filter cannot be read."""


def compiled(text: str, fields: Mapping[str, str]) -> Test:
    """Return a function that tells whether a document matches; `fields` are those that can be filtered, by type."""
    tokens = []
    place = 0
    while place < len(text.rstrip()):
        found = TOKEN.match(text, place)
        if found is None:
            raise Bad(f"cannot parse the filter at {place}: {text[place : place + 40]!r}")
        tokens.append(found)
        place = found.end()
    reader = _Reader(tokens, fields)
    test = reader.either()
    if reader.at < len(tokens):
        raise Bad(f"expected an operator before {tokens[reader.at][0]!r}")
    return test


class _Reader:
    def __init__(self, tokens: list[re.Match[str]], fields: Mapping[str, str]) -> None:
        self.tokens, self.fields, self.at = tokens, fields, 0

    def take(self, group: str, text: str | None = None) -> bool:
        if self.at < len(self.tokens) and (held := self.tokens[self.at][group]) is not None and text in (None, held):
            self.at += 1
            return True
        return False

    def either(self) -> Test:
        parts = [self.both()]
        while self.take("word", "OR"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def both(self) -> Test:
        parts = [self.single()]
        while self.take("word", "AND"):
            parts.append(self.single())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def single(self) -> Test:
        if self.take("word", "NOT"):
            inner = self.single()
            return lambda row: not inner(row)
        if self.take("open"):
            inner = self.either()
            if not self.take("close"):
                raise Bad("unbalanced parentheses")
            return inner
        if self.at >= len(self.tokens):
            raise Bad("expected a term")
        self.at += 1
        return self.term(self.tokens[self.at - 1])

    def term(self, found: re.Match[str]) -> Test:
        field = found["in"] or found["range"] or found["field"]
        if field is None:
            raise Bad(f"expected a term, found {found[0]!r}")
        if field not in self.fields:
            raise Bad(f"no filterable field {field!r}; there are {', '.join(self.fields)}")
        if found["range"]:
            low, high = (None if text == "*" else float(text) for text in (found["low"], found["high"]))
            if self.fields[field] in ("text", "array<text>"):
                raise Bad(f"{field} is text and has no ranges")
            return lambda row: (
                isinstance(row.get(field), int | float)
                and (low is None or row[field] >= low)
                and (high is None or row[field] <= high)
            )
        if found["in"]:
            values = [value.strip() for value in found["list"].split(",")]
            if "" in values or any(" " in value for value in values):
                raise Bad("unexpected white space in IN term list")
        else:
            values = [re.sub(r"\\(.)", r"\1", found["value"])]
        wanted = {value.lower() for value in values}

        def test(row: Mapping[str, Any]) -> bool:
            held = row.get(field)
            if isinstance(held, frozenset):  # lists of texts are kept so, in lower case
                return not wanted.isdisjoint(held)
            return held is not None and str(held).lower() in wanted

        return test
