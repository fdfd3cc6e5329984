"""Addresses of stores: `postgresql://user:password@host:5432/db?sslmode=require`, `lancedb://./index`, `memory://`.

The scheme names the file in `stores/`. What follows a `+` in it is for that store (`elasticsearch+https://`).
A path without a scheme is a LanceDB folder. Options in the query are those of the store's `Options`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from dizuo.errors import VectorError, did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Option", "Url", "bind", "parse_url"]

ALIASES = {"postgres": "postgresql", "pgvector": "postgresql", "rediss": "redis+tls", "lance": "lancedb"}
T = TypeVar("T", bound="DataclassInstance")
Option: TypeAlias = str | int | float | bool | tuple[str, ...] | Mapping[str, str] | None
"""What an option of a store may be; in a URL it is text."""


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a store's address."""

    scheme: str
    """The name of the store: of its file in `stores/`."""
    extra: str = ""
    """What follows `+` in the scheme, as in `https`."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    host: str | None = None
    port: int | None = None
    path: str = ""
    """As written, with its leading slash."""
    place: str = ""
    """Everything between `//` and `?`, percent-decoded: the folder or file of an embedded database."""
    query: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        scheme = f"{self.scheme}+{self.extra}" if self.extra else self.scheme
        place = self.place.rpartition("@")[2] if self.user or self.password else self.place
        return f"{scheme}://{place}"


def parse_url(url: str) -> Url:
    """Return the parts of an address.

    Raises:
        VectorError: it is no address of a store.
    """
    if not isinstance(url, str) or not url.strip():
        raise VectorError(f"{url!r} is no address of a store", hint='for example connect("lancedb://./index", dim=384)')
    if "://" not in url:
        return Url("lancedb", path=url, place=url)
    scheme, _, rest = url.partition("://")
    name, _, extra = ALIASES.get(scheme.lower(), scheme.lower()).partition("+")
    place, _, query = rest.partition("?")
    try:
        parts = urlsplit(f"x://{rest}")
        port = parts.port
    except ValueError as error:
        raise VectorError(f"the address of the store cannot be read: {error}") from None
    try:
        asked = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        raise VectorError(
            f"the options {query!r} of the address cannot be read", hint="?name=value&name=value"
        ) from None
    user, password = (None if value is None else unquote(value) for value in (parts.username, parts.password))
    return Url(name, extra, user, password, parts.hostname, port, unquote(parts.path), unquote(place), asked)


def bind(kind: type[T], given: Mapping[str, Option], *, store: str) -> T:
    """Return the options of a store from query texts and keyword arguments.

    Raises:
        VectorError: lists every option that is unknown or of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    faults: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            faults.append(f"{name}: no such option{did_you_mean(name, known)}")
            continue
        try:
            values[name] = _read(hints[name], value)
        except (KeyError, TypeError, ValueError):
            faults.append(f"{name}: {value!r} is no {_type_name(hints[name])}")
    if faults:
        hint = f"options of {store}: {', '.join(known)}" if known else f"{store} has no options"
        raise VectorError(f"the options of {store}:// are wrong", details=faults, hint=hint)
    return kind(**values)


def _read(hint: Any, value: Any) -> Any:
    choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _read(choices[0], value)
    if not isinstance(value, str) or hint is str:
        kind = typing.get_origin(hint) or hint
        fits = kind is Any or isinstance(value, kind) or (kind is float and type(value) is int)
        if not fits or (type(value) is bool and kind is not bool):
            raise TypeError
        return value
    if hint is bool:
        return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
    if hint in (int, float):
        return hint(value)
    if typing.get_origin(hint) is tuple:
        return tuple(part for part in value.split(",") if part)
    if typing.get_origin(hint) is typing.Literal and value in typing.get_args(hint):
        return value
    if typing.get_origin(hint) is not None and issubclass(typing.get_origin(hint), Mapping):
        return dict(part.split(":", 1) for part in value.split(",") if part)
    raise TypeError


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint).replace("typing.", ""))
