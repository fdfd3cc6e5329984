"""A generator of addresses with logins, as people write them: right, unescaped, without a scheme, with a typo."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, unquote

SPECIAL = "/#?@%:[]&+ =;,'\"\\<>{}|^~!$*()"
LETTERS = string.ascii_letters + string.digits
FOREIGN = "éßøжщя密码鍵пароль"
NOWHERE = "127.0.0.1:9"
"""The discard port: nobody listens there, and the refusal comes at once."""


def random_password(draw: random.Random) -> str:
    """Return a password of 6 to 24 characters; most have something in them that an address does not allow."""
    kind = draw.choice(
        ["plain", "special", "special", "special", "foreign", "port", "login", "query", "path", "escaped", "spaced"]
    )
    if kind == "plain":
        return _word(draw, draw.randint(6, 20))
    if kind == "port":
        return f"{draw.randint(1, 70_000)}{draw.choice('/#?')}{_word(draw, 8)}"
    if kind == "login":
        return f"{_word(draw, 6)}@{_word(draw, 7)}:{_word(draw, 6)}"
    if kind == "query":
        return f"{_word(draw, 6)}?{_word(draw, 6)}={_word(draw, 6)}&{_word(draw, 6)}"
    if kind == "path":
        return f"/{_word(draw, 7)}/../{_word(draw, 7)}"
    if kind == "spaced":
        return f"{_word(draw, 6)}{draw.choice('/#?@:%')}{_word(draw, 2)}@{_word(draw, 2)} {_word(draw, 7)}"
    if kind == "escaped":
        return f"{_word(draw, 6)}%{draw.choice(['zz', '', '2', '%', '41', '2f'])}{_word(draw, 6)}"
    letters = LETTERS + SPECIAL * 2 + (FOREIGN * 2 if kind == "foreign" else "")
    return "".join(draw.choices(letters, k=draw.randint(7, 24))).strip() + _word(draw, 6)


def _word(draw: random.Random, length: int) -> str:
    return "".join(draw.choices(LETTERS, k=length))


def _has_host_in_it(password: str) -> bool:
    """Return whether without a host behind it the address would be a right one of another host."""
    _, at, place = password.rpartition("@")
    if at:
        return re.match(r"[\w.-]*(:\d*)?([/?#]|$)", place) is not None
    return password.split("/")[0].isdigit()


SHAPES: dict[str, Callable[[str, str], str | None]] = {
    "user and password": lambda store, word: f"{store}://me:{word}@{NOWHERE}/db",
    "password": lambda store, word: f"{store}://:{word}@{NOWHERE}",
    "escaped": lambda store, word: f"{store}://me:{quote(word, safe='')}@{NOWHERE}",
    "https": lambda store, word: f"{store}+https://me:{word}@{NOWHERE}",
    "an option behind it": lambda store, word: f"{store}://me:{word}@{NOWHERE}?timeout=1",
    "a key in the user's place": lambda store, word: f"{store}://{word}{word}@{NOWHERE}" if ":" not in word else None,
    "no host": lambda store, word: None if _has_host_in_it(word) else f"{store}://me:{word}",
    "no host but its options": lambda store, word: (
        None if _has_host_in_it(word) else f"{store}://me:{word}?timeout=1#model"
    ),
    "no host and no user": lambda store, word: None if _has_host_in_it(word) else f"{store}://:{word}",
    "a port that is none": lambda store, word: f"{store}://me:{word}@127.0.0.1:port",
    "a port that is too big": lambda store, word: f"{store}://me:{word}@127.0.0.1:99999/x",
    "password in the query": lambda store, word: f"{store}://{NOWHERE}/db?password={_query(word)}",
    "key in the query": lambda store, word: f"{store}://{NOWHERE}?api_key={_query(word)}",
    "misspelt in the query": lambda store, word: f"{store}://{NOWHERE}?pasword={_query(word)}",
    "escaped in the query": lambda store, word: f"{store}://{NOWHERE}?password={quote(word, safe='')}",
    "given twice": lambda store, word: f"{store}://me:{word}@{NOWHERE}?password=another1",
    "no scheme": lambda store, word: f"me:{word}@{NOWHERE}/db",
    "no scheme and no port": lambda store, word: f"me:{word}@localhost",
    "slashes and no scheme": lambda store, word: f"//me:{word}@{NOWHERE}",
    "as a path": lambda store, word: f"./me:{word}@{NOWHERE}",
    "one colon": lambda store, word: f"{store}:me:{word}@{NOWHERE}",
    "one slash": lambda store, word: f"{store}:/me:{word}@{NOWHERE}",
    "no colon": lambda store, word: f"{store}//me:{word}@{NOWHERE}",
    "three slashes": lambda store, word: f"{store}:///me:{word}@{NOWHERE}",
    "a scheme with a typo": lambda store, word: f"{store[:-1]}x://me:{word}@{NOWHERE}",
    "another scheme": lambda store, word: f"https://me:{word}@{NOWHERE}",
    "capitals": lambda store, word: f"{store.upper()}://me:{word}@{NOWHERE}",
    "as libpq takes it": lambda store, word: f"host=127.0.0.1 port=9 user=me password='{_quoted(word)}' dbname=db",
    "as Java takes it": lambda store, word: f"jdbc:{store}://me:{word}@{NOWHERE}/db",
    "a path object's text": lambda store, word: f"{store}:/me:{word}@{NOWHERE}/",
    "spaces around": lambda store, word: f" {store}://me:{word}@{NOWHERE} ",
}
"""(store, password) -> an address; None where it would be a right one of another meaning."""


def _query(word: str) -> str:
    """Return a password for the query, where `&name=` and a `%` before hexadecimal digits have a meaning."""
    return word.replace("&", "")


def _quoted(word: str) -> str:
    return word.replace("'", "").replace("\\", "")


@dataclass(frozen=True)
class Odd:
    """One address."""

    store: str
    shape: str
    password: str
    url: str

    def leaks(self, text: str) -> str | None:
        """Return a part of six characters of the password that a text has in it, or None."""
        low = text.lower()
        forms = {form.lower() for form in (self.password, quote(self.password, safe=""), unquote(self.password))}
        for form in forms:
            for at in range(len(form) - 5):
                if form[at : at + 6] in low:
                    return form[at : at + 6]
        return None


def odd_addresses(count: int, stores: tuple[str, ...], seed: int = 0) -> Iterator[Odd]:
    """Yield so many addresses, over all stores and shapes in turn, each with a password of its own."""
    draw = random.Random(seed)
    cells = [(store, shape) for shape in SHAPES for store in stores]
    made = 0
    while made < count:
        draw.shuffle(cells)
        for store, shape in cells:
            password = random_password(draw)
            url = SHAPES[shape](store, password)
            if url is not None and made < count:
                made += 1
                yield Odd(store, shape, password, url)
