"""The options of a store: bound by declared type, from the query of an address and from keyword arguments.

An option that holds a secret is declared with the type `Secret`. The two that most databases have are here: a store's
`Options` inherit from `LoginOptions` or `KeyOptions`, and `add_login` puts what they say into the address.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from dizuo.errors import VectorError, did_you_mean
from dizuo.redaction import Secret, hide, is_secret_name, secret_fields
from dizuo.vectors.connecting.addresses import Url

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["KeyOptions", "LoginOptions", "LoginOrKeyOptions", "Option", "add_login", "bind"]

T = TypeVar("T", bound="DataclassInstance")
Option: TypeAlias = str | int | float | bool | tuple[str, ...] | Mapping[str, str] | Secret | None
"""What an option of a store may be; in a URL it is text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOptions:
    """A login that does not stand in the address."""

    user: str | None = None
    """The user, where the address does not name one."""
    password: Secret | None = None
    """The password, where it is not in the address; as an argument of `connect` nothing in it needs to be escaped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOptions:
    """An API key that does not stand in the address."""

    api_key: Secret | None = None
    """The API key or token, where it is not the password of the address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginOrKeyOptions(LoginOptions):
    """A login or an API key that does not stand in the address."""

    api_key: Secret | None = None
    """The API key, where it is not the password of an address without a user."""


def bind(kind: type[T], given: Mapping[str, Option], *, store: str) -> T:
    """Return the options of a store from query texts and keyword arguments.

    Raises:
        VectorError: lists every option that is unknown or of the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = [item.name for item in dataclasses.fields(kind)]
    secret = secret_fields(kind)
    faults: list[str] = []
    values: dict[str, Any] = {}
    for name, value in given.items():
        hidden = name in secret or is_secret_name(name)
        if hidden and isinstance(value, str):
            hide(value)
        if name not in known:
            faults.append(f"{name}: no such option{did_you_mean(name, known)}")
            continue
        try:
            values[name] = _read(hints[name], value)
        except (KeyError, TypeError, ValueError):
            faults.append(f"{name}: {'this' if hidden else repr(value)} is no {_type_name(hints[name])}")
    if faults:
        hint = f"options of {store}: {', '.join(known)}" if known else f"{store} has no options"
        raise VectorError(f"the options of {store}:// are wrong", details=faults, hint=hint)
    return kind(**values)


def add_login(url: Url, options: DataclassInstance) -> Url:
    """Return the address with the user, the password or the key that its options name.

    Raises:
        VectorError: the address names another one.
    """
    user: str | None = getattr(options, "user", None) or None
    given = {name: getattr(options, name, None) for name in ("password", "api_key")}
    named = [name for name, value in given.items() if isinstance(value, Secret) and value]
    twice = [name for name, held in (("user", url.user), (named[0] if named else "", url.password)) if held]
    twice = [name for name in twice if name in named or (name == "user" and user not in (None, url.user))]
    if len(named) > 1 or twice or ("api_key" in named and (user or url.user)):
        what = " and ".join(dict.fromkeys([*twice, *(named if len(named) > 1 or not twice else ())]))
        raise VectorError(f"the login of the {url.scheme}:// address is given twice: {what}", hint="give it once")
    if not named:
        return dataclasses.replace(url, user=user or url.user)
    value = given[named[0]]
    assert isinstance(value, Secret)
    return dataclasses.replace(url, user=user or url.user, password=value.reveal())


def _read(hint: Any, value: Any) -> Any:
    choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _read(choices[0], value)
    if hint is Secret and isinstance(value, str):
        return Secret(value)
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
    if hint is Secret or Secret in typing.get_args(hint):
        return "text"
    return getattr(hint, "__name__", str(hint).replace("typing.", ""))
