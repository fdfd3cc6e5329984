"""Finds the template of a finished text and says it in Chinese.

A text may be a message, several sentences, columns, lines, or a message behind a name (`tickets.csv:3: …`). Parts that
are no message stay as they are, so that nothing of a user's is ever rewritten.
"""

from __future__ import annotations

import re
from functools import lru_cache

from dizuo.languages.catalogue import PLACED, WEAK, Message, read_catalogue

__all__ = ["translate"]

NEAR = re.compile(r" \(did you mean ('[^']*'|[\w.-]+)\?\)")
COUNT = re.compile(r"([\d,]+) ([A-Za-z][A-Za-z ]*)")
LINE = re.compile(r"^(?:line|row) ([\d,]+): ")
AROUND = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)
OPENINGS = ("error: ", "warning: ", "hint: ")
PROSE = re.compile(r"[A-Za-z]{2,} .*[A-Za-z]{2,}")
EDGE = "\0"
HAN = "[\u4e00-\u9fff]"
MARKS = "，。；：（）？、"
LONGEST_NAME = 120
"""Characters of a name before a colon."""


@lru_cache(maxsize=4096)
def translate(text: str) -> str:
    """Return a text in Chinese, or as it is where no template makes it."""
    around = AROUND.fullmatch(text)
    assert around is not None
    before, body, after = around.groups()
    found = _find(body) if body and re.search("[A-Za-z]{2}", body) else None
    return text if found is None else before + LINE.sub(r"第 \1 行：", found) + after


def _find(text: str) -> str | None:
    """Return a text in Chinese, or None where nothing of it is known."""
    for way in (_message, _opened, _lines, _sentences, _columns, _template, _near, _list, _named, _counts, _ended):
        if (found := way(text)) is not None:
            return found
    return None


def _message(text: str) -> str | None:
    return read_catalogue().texts.get(text)


def _opened(text: str) -> str | None:
    """Translate `error: …`, whatever follows."""
    for opening in OPENINGS:
        if text.startswith(opening):
            chinese = read_catalogue().templates[opening + "{}"]
            return chinese.replace("{*}", translate(text.removeprefix(opening)))
    return None


def _template(text: str) -> str | None:
    for message in read_catalogue().messages:
        ways = [message.values(text), message.values(text, late=True)]
        found = [values for values in ways if values is not None]
        if not found:
            continue
        values = min(found, key=lambda values: (not _knows(message, values), _listed(message, values)))
        if message.letters >= WEAK or _knows(message, values):
            return _fill(message, values)
    return None


def _knows(message: Message, values: list[str]) -> bool:
    """Return whether each value that should be a message is one, or too short to be one."""
    parts = [values[place].strip() for place in message.messages()]
    return all(not PROSE.search(part) or translate(part) != part for part in parts)


def _listed(message: Message, values: list[str]) -> int:
    """Return how many commas stand in values that are no messages: the fewer, the likelier were they put in there."""
    messages = message.messages()
    return sum(value.count(", ") for place, value in enumerate(values) if place not in messages)


def _fill(message: Message, values: list[str]) -> str:
    left = set(range(len(values)))
    places = iter(range(len(values)))

    def put(match: re.Match[str]) -> str:
        number, star = match.groups()
        place = int(number) if number else next(places)
        left.discard(place)
        value = translate(values[place]) if star else NEAR.sub(r"（是不是 \1？）", values[place])
        return f"{EDGE}{value.strip() if star and value != values[place] else value}{EDGE}"

    filled = PLACED.sub(put, message.chinese)
    suggested = [match[1] for place in sorted(left) if (match := NEAR.search(values[place]))]
    return _space(filled) + "".join(f"（是不是 {name}？）" for name in suggested)


def _space(text: str) -> str:
    """Put a space between Chinese and Latin letters where a value was put in, and none between Chinese and Chinese."""
    text = re.sub(f"(?<={HAN}) ?{EDGE}(?=[A-Za-z0-9'])|(?<=[A-Za-z0-9'%]){EDGE} ?(?={HAN})", " ", text)
    text = re.sub(f"(?<={HAN}) {EDGE}(?=[{HAN[1:-1]}{MARKS}])|(?<=[{HAN[1:-1]}{MARKS}]){EDGE} (?={HAN})", "", text)
    return text.replace(EDGE, "")


def _lines(text: str) -> str | None:
    if "\n" not in text:
        return None
    return _template_of_lines(text) or _all(text.split("\n"), "\n", every=False)


def _template_of_lines(text: str) -> str | None:
    for message in read_catalogue().messages:
        if any("\n" in piece for piece in message.pieces) and (values := message.values(text)) is not None:
            return _fill(message, values)
    return None


def _sentences(text: str) -> str | None:
    return _all(re.split(r"(?<=[.?]) (?=[A-Z])", text), "")


def _near(text: str) -> str | None:
    """Take out a suggestion that stands in the text itself."""
    if (match := NEAR.search(text)) is None:
        return None
    found = _find(text[: match.start()] + text[match.end() :])
    return None if found is None else f"{found}（是不是 {match[1]}？）"


def _columns(text: str) -> str | None:
    return _all(text.split("  "), "  ", every=False)


def _list(text: str) -> str | None:
    return _all(text.split("; "), "；")


def _all(parts: list[str], joint: str, *, every: bool = True) -> str | None:
    """Return several parts in Chinese; `every` of them has to be known, or at least one."""
    if len(parts) < 2:
        return None
    found = [translate(part) for part in parts]
    changed = [new != old for new, old in zip(found, parts)]
    return joint.join(found) if (all(changed) if every else any(changed)) else None


def _named(text: str) -> str | None:
    """Translate `name: message`; the name stays, unless it is a message itself."""
    for match in re.finditer(": ", text):
        name, rest = text[: match.start()], text[match.end() :]
        if len(name) > LONGEST_NAME:
            break
        known, found = _message(name) or _template(name), _find(rest)
        if known is not None:
            return f"{known}：{found or rest}"
        if found is not None:
            return f"{name}: {found}"
    return None


def _counts(text: str) -> str | None:
    """Translate `155 train, 24 test`."""
    parts = [COUNT.fullmatch(part) for part in text.split(", ")]
    words = read_catalogue().texts
    if not all(match is not None and match[2] in words for match in parts):
        return None
    return "，".join(f"{words[match[2]]} {match[1]}" for match in parts if match is not None)


def _ended(text: str) -> str | None:
    """Translate an end that is a message, as in `86.5 %, which trains in …`; what stands before it stays."""
    for match in re.finditer(r"(?=, | \(|; )", text):
        end = text[match.start() :].strip()
        found = (_message(end) or _template(end)) if sum(map(str.isalpha, end)) > WEAK else None
        if match.start() and found is not None and not found[0].isalnum():
            return text[: match.start()] + found
    return None
