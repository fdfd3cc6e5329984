"""The texts of an HTML template, and the template with others in their place.

A text is what stands between two tags or statements, with `{}` for an expression in it. Expressions, statements, tags
and style stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dizuo.languages.catalogue import PLACED

__all__ = ["replace_texts", "texts_of"]

FIXED = re.compile(r"(<style>.*?</style>|<[^>]*?(?:\{\{.*?\}\}|\{%.*?%\}|[^<>{}])*>|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
SAID = re.compile(r"""(["'])((?:(?!\1).)+)\1\|say\b""")


def texts_of(source: str) -> list[str]:
    """Return the texts of a template, and those that its expressions hand to the filter `say`."""
    found = [_key(part) for part in FIXED.split(source)[::2]]
    return [text for text in found if re.search("[A-Za-z]", text.replace("{}", ""))] + [
        match[2] for match in SAID.finditer(source)
    ]


def replace_texts(source: str, say: Callable[[str], str | None]) -> str:
    """Return a template with other texts; `say` has the text of one with `{}` for its expressions, or None."""
    parts = FIXED.split(source)
    for place in range(0, len(parts), 2):
        said = say(_key(parts[place])) if parts[place].strip() else None
        if said is not None:
            parts[place] = _fill(parts[place], said)
    return "".join(parts)


def _key(part: str) -> str:
    return " ".join(EXPRESSION.sub("{}", part).split())


def _fill(part: str, said: str) -> str:
    expressions = EXPRESSION.findall(part)
    places = iter(range(len(expressions)))
    text = PLACED.sub(lambda match: expressions[int(match[1]) if match[1] else next(places)], said)
    before = part[: len(part) - len(part.lstrip())]
    after = part[len(part.rstrip()) :]
    return f"{before}{text}{after}"
