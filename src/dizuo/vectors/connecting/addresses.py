"""Addresses of stores: `postgresql://user:password@host:5432/db?sslmode=require`, `lancedb://./index`, `memory://`.

The scheme names the file in `stores/`. What follows a `+` in it is for that store (`elasticsearch+https://`).
A path without a scheme is a LanceDB folder (`forms.py`). Options in the query are those of the store's `Options`.

A password may be written as it is: the login ends at the last `@` before the query (`dizuo.redaction.logins`). Only a
`%` before two hexadecimal digits has to be written as `%25`. No message quotes an address: what is shown is the host,
the port and the path, where all of them can be read.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import unquote

from dizuo.errors import VectorError, did_you_mean
from dizuo.redaction import hide, hide_login, hide_logins, is_secret_name, names_port, secret_fields, split_login

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["ALIASES", "Form", "Url", "parse_url"]

Form: TypeAlias = Literal["server", "folder", "either"]
"""What the addresses of a store name: a server, with user and password; a folder or a file, which has none; or both."""

ALIASES = {"postgres": "postgresql", "pgvector": "postgresql", "rediss": "redis+tls", "lance": "lancedb"}
"""Other names of schemes."""
_HOST = r"\[[^\]\s@/]*\]|(?:[\w.-]|%[0-9A-Fa-f]{2})*"
_PLACE = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>\d+))?(?P<path>/.*)?", re.DOTALL)
_DRIVE = r"[A-Za-z]:[\\/]" if os.name == "nt" else r"[A-Za-z]:\\"
_PATH = re.compile(rf"[./~\\]|{_DRIVE}|[A-Za-z][A-Za-z0-9+.-]+://")
"""How a path of this machine or of an object store begins, which has neither host nor port."""
_NAME = re.compile(r"[\w.-]{1,15}")
"""What a user without a password is called; anything else in that place is taken for a key or a password."""


@dataclass(frozen=True, slots=True, repr=False)
class Url:
    """The parts of a store's address. Its password is remembered as a secret."""

    scheme: str
    """The name of the store: of its file in `stores/`."""
    extra: str = ""
    """What follows `+` in the scheme, as in `https`."""
    user: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    path: str = ""
    """What follows host and port, with its leading slash, percent-decoded."""
    place: str = ""
    """Everything between `//` and `?` without `user:password@`, percent-decoded: the folder or file of an embedded
    database."""
    query: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hide(self.password)
        if self.password is None and self.user is not None and not _NAME.fullmatch(self.user):
            hide(self.user)

    def __str__(self) -> str:
        scheme = f"{self.scheme}+{self.extra}" if self.extra else self.scheme
        return f"{scheme}://{self.place if self.user is None else self.place.rpartition('@')[2]}"

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"


def parse_url(url: str, options: type[DataclassInstance] | None = None, *, form: Form = "either") -> Url:
    """Return the parts of an address that has a scheme.

    Args:
        url: with `://` in it.
        options: those of the store, by which its query is told from a `?` of a password.
        form: of the store's addresses.

    Raises:
        VectorError: it is no address of a store. The message has nothing of what may be a login.
    """
    scheme, mark, rest = url.partition("://")
    if not mark:
        hide_logins(url)
        raise VectorError("the address has no scheme", hint="write SCHEME://…")
    name, _, extra = ALIASES.get(scheme.lower(), scheme.lower()).partition("+")
    names = frozenset(item.name for item in dataclasses.fields(options)) if options else frozenset()
    secret = secret_fields(options) if options else frozenset()
    login, place, query = split_login(rest, names)
    whole = unquote(place)
    if login is not None and form != "server" and ":" not in _PATH.sub("", login, count=1):
        whole = unquote(f"{login}@{place}")  # the `@` may be that of a folder's name, as in `lancedb://data@2024`
        if (form == "folder" or "/" in login) and not names_port(place):
            login, place = None, f"{login}@{place}"
    try:
        user, password = _read_login(name, login, form)
        host, port, path = _read_place(name, place, form)
        asked = dict(_read_query(query, names, secret))
    except VectorError:
        hide_logins(url)
        raise
    return Url(name, extra, user, password, host, port, path, whole, asked)


def _read_login(name: str, login: str | None, form: Form) -> tuple[str | None, str | None]:
    if login is None:
        return None, None
    hide_login(login)
    if form == "folder":
        raise VectorError(f"{name}:// has no user and no password, and this address has", hint=f"write {name}://FOLDER")
    if login.startswith(("/", "\\")):
        raise VectorError(f"a slash too many stands before the user of the {name}:// address", hint=_form_of(name))
    user, colon, password = login.partition(":")
    return _unescape(user) or None, _unescape(password) if colon else None


def _unescape(text: str) -> str:
    """Return a text percent-decoded, or as it is where that gives no UTF-8: then its `%` was meant."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _read_place(name: str, place: str, form: Form) -> tuple[str | None, int | None, str]:
    """Return host, port and path."""
    if form != "server" and (_PATH.match(place) or (form == "folder" and re.match(r"[A-Za-z]:/", place))):
        return None, None, unquote(place)
    parts = _PLACE.fullmatch(place)
    if parts is None and form != "server" and ":" not in place.partition("/")[0]:
        return None, None, unquote(place)  # a folder with a name that no host can have
    if parts is None or int(parts["port"] or 0) > 65_535:
        raise VectorError(f"host and port of the {name}:// address cannot be read", hint=_form_of(name))
    host = unquote(parts["host"].removeprefix("[").removesuffix("]"))
    return host or None, int(parts["port"]) if parts["port"] else None, unquote(parts["path"] or "")


def _form_of(name: str) -> str:
    return f"write {name}://USER:PASSWORD@HOST:PORT; an @ stands before the host, and the port is a number"


def _read_query(query: str, names: frozenset[str], secret: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the options of a query by name; an `&` of a secret, which is followed by no option's name, stays in it."""
    name, value = "", ""
    for part in query.split("&") if query else ():
        head, equals, tail = part.partition("=")
        if name and head not in names and _is_secret(name, secret):
            value += f"&{part}"
            continue
        if name:
            yield name, _decode(name, value, secret)
        if part and not equals:
            raise VectorError("the options of the address cannot be read", hint="write them as ?name=value&name=value")
        name, value = head, tail
    if name:
        yield name, _decode(name, value, secret)


def _decode(name: str, value: str, secret: frozenset[str]) -> str:
    if _is_secret(name, secret):
        hide(value, unquote(value))
        return _unescape(value)
    return unquote(value)


def _is_secret(name: str, secret: frozenset[str]) -> bool:
    return name in secret or is_secret_name(name) or bool(did_you_mean(name, secret))
