"""Where a login stands in an address, also in one whose password has `/ # ? @ % :` or a space in it as they are.

The syntax of URLs (RFC 3986) lets none of these stand in a password, people write them all the same, and a parser that
follows the syntax then takes a part of the password for the port or the host, and says so. Here a login ends at the
last `@` that is not in the query.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

from dizuo.redaction.memory import SHOWN, hide

__all__ = [
    "has_login",
    "hide_login",
    "hide_logins",
    "is_secret_name",
    "looks_like_login",
    "split_login",
    "strip_logins",
]

_NAMES = re.compile(
    r"(?:^|[_.-])(?:pass|pass(?:wor?d|wrd|wd|phrase)|pwd|\w*key|secrets?|\w*token|auth|credentials?)(?:$|[_.-])",
    re.IGNORECASE,
)
_MISSPELT = ("password", "passphrase", "api_key", "apikey", "secret_key")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_BEGINNING = re.compile(rf"(?:^|(?<=[=\s'\"]))(?:[\w-]+:(?=https?://))?{_SCHEME.pattern}")
"""Where an address begins: also behind `--model=`, and behind the kind of a model, as in `openai:http://host`."""
_OPTION = re.compile(r"\?([A-Za-z_][\w.-]*)=")
_PLACE = re.compile(r"(?:\[[^\]\s@/]*\]|(?:[\w.-]|%[0-9A-Fa-f]{2})*)(?::\d+)?(?:[/?#]|$)")
"""A host with its port, and what may follow them."""
_ENDPOINT = re.compile(r"(?:\[[^\]\s@/]*\]|[\w.~%-]*)(?::\d{1,5})?(?:/|\?[A-Za-z_][\w.-]*=|$)")
"""The same, where nothing before it is left out: what follows a colon here may as well be a password."""
_SPACED = re.compile(rf"{_SCHEME.pattern}[^\s:/@]*:[^@]*\s[^@]*@")
_URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://(?=(\S*))", re.IGNORECASE)
_PAIR = re.compile(r"(?<=[?&;])([\w.-]+)=([^&\s'\"]+)")
_HOSTLESS = re.compile(rf"{_SCHEME.pattern}/*[\w.~%-]*:(?!\d{{1,5}}(?:/|\?[A-Za-z_][\w.-]*=|$))\S")
"""As in `redis://me:secret`, where the host was forgotten: what follows the colon is no port."""
_SETTING = re.compile(r"(?:^|(?<=[\s;]))([\w.-]+)\s*=(?!=)\s*('(?:[^'\\]|\\.)*'|[^\s;]*)")
"""As in `host=db user=me password=secret`, which libpq takes, and `Server=db;Password=secret`."""
_SOURCE = re.compile(r"(?:hf|modelscope|path|pypi):")
"""How addresses of models and data begin, in which an `@` stands before a revision."""
EXAMPLE = "USER:PASSWORD"
"""The login of hints, which say how an address is written."""
KEY = 16
"""Characters from which what stands in the place of a user is taken for a key."""


def is_secret_name(name: str) -> bool:
    """Return whether an option of that name holds a secret, as `password`, `api_key` or `token` do, also misspelt."""
    return _NAMES.search(name) is not None or bool(difflib.get_close_matches(name.lower(), _MISSPELT, 1, 0.85))


def has_login(text: str) -> bool:
    """Return whether a text is an address with a scheme and a login, or with a secret in its query."""
    if _SCHEME.match(text) is None:
        return False
    return strip_logins(text) != text or any(form.match(text) for form in (_SPACED, _HOSTLESS))


def looks_like_login(text: str) -> bool:
    """Return whether a text that should be a path has a user and a password in it.

    As `me:secret@host/db` has, and `host=db password=secret`.
    """
    if any(is_secret_name(name) for name, _ in _SETTING.findall(text)):
        return True
    rest = _SCHEME.sub("", text, count=1)
    if re.search(r":[^/\\@].*@|:[/\\].+@[\w.-]*(?:/|$)", rest, re.DOTALL):
        return True
    return "@" in rest and names_port(rest.rpartition("@")[2])


def names_port(place: str) -> bool:
    """Return whether a text begins with a host and a port, and so is no part of a path."""
    return re.match(r"(?:\[[^\]\s@/]+\]|[\w.-]+):\d+(?:[/?#]|$)", place) is not None


def split_login(rest: str, options: Collection[str] = ()) -> tuple[str | None, str, str]:
    """Return the login, the part behind it, and the query of what stands behind `://`.

    Args:
        rest: as in `user:pass/word@host:5432/db?sslmode=require`.
        options: the names that may stand in the query. A `?` before another word is taken for a part of the password
            where an `@` follows.
    """
    last = rest.rfind("@")
    for match in _OPTION.finditer(rest):
        before, query = rest[: match.start()], rest[match.start() + 1 :]
        login, at, place = before.rpartition("@")
        known = match[1] in options or is_secret_name(match[1])
        if match.start() > last or (known and _PLACE.match(place)):
            return (login if at else None), place, query
    login, at, behind = rest.rpartition("@")
    place, _, query = behind.partition("?")
    return (login if at else None), place, query


def hide_login(login: str) -> None:
    """Remember the password of `user:password`: as it is written, as it is meant, and as a header of HTTP has it."""
    import base64
    from urllib.parse import unquote

    user, _, password = login.partition(":")
    for name, text in {(user, password), (unquote(user), unquote(password))}:
        hide(text)
        if text:
            hide(base64.b64encode(f"{name}:{text}".encode("utf-8", "replace")).decode().rstrip("="))


def hide_logins(text: str) -> None:
    """Remember every login that may stand in a text that was given as an address, be it right or wrong.

    Rather a word too many than a password: it is for arguments of commands, and for texts that are refused.
    """
    from urllib.parse import unquote

    scheme = _BEGINNING.search(text)
    rest = text[scheme.end() :] if scheme else text
    login, at, place = rest.rpartition("@")
    if at and scheme and ":" in login and _PLACE.match(place) is None:
        password = rest.partition(":")[2]  # no host follows: the password goes on behind its own `@`
        hide(password, unquote(password))
    if at and ":" in login and (scheme or re.match(rf"(?!{_SOURCE.pattern})[^\s:@]*:\S", login)):
        hide_login(login.lstrip("/\\"))
        if not scheme and (name := re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?::[/\\]*|//)", login)):
            hide_login(login[name.end() :])  # as in redis:/user:password@host and redis//user:password@host
    elif at and scheme and len(login) >= KEY:
        hide(login)
    elif not at and scheme and not _ENDPOINT.match(rest):
        port = rest.partition(":")[2]  # the host was forgotten
        hide(port, unquote(port))
    for name, value in [*re.findall(r"[?&;]([\w.-]+)=([^&]*)", rest), *_SETTING.findall(text)]:
        if is_secret_name(name):
            hide(value, unquote(value), value.strip("'\""))


def strip_logins(text: str) -> str:
    """Return the text with *** in the place of the login of every URL, and of secrets in their queries.

    >>> strip_logins("redis://me:a/b@host:6379/0 and https://host/x?api_key=abc&k=3")
    'redis://***@host:6379/0 and https://host/x?api_key=***&k=3'
    """
    if "://" not in text:
        return text
    out: list[str] = []
    done = 0
    for match in _URL.finditer(text):
        if match.start() < done:
            continue
        slashes = len(match[1]) - len(match[1].lstrip("/"))  # as in redis:///me:secret@host
        authority = re.split(r"[/?#]", match[1][slashes:], maxsplit=1)[0]
        end, port = authority.rfind("@"), authority.partition(":")[2]
        if end >= 0:
            end += slashes
        elif port and not port.isdigit():
            end = match[1].rfind("@")  # the password has a `/` or the like in it that is not escaped
        if end >= 0 and match[1][:end] != EXAMPLE:
            out += [text[done : match.end()], SHOWN]
            done = match.end() + end
    stripped = "".join([*out, text[done:]])
    return _PAIR.sub(lambda pair: f"{pair[1]}={SHOWN}" if is_secret_name(pair[1]) else pair[0], stripped)
