"""`Secret`: the type of an option that must not be shown."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from dizuo.redaction.logins import is_secret_name
from dizuo.redaction.memory import SHOWN, hide

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Secret", "seal", "secret_fields"]


class Secret:
    """A password, a key or a token. As text it is ***, so options that hold one can be printed and logged.

    Args:
        text: what it is; from now on no text of dizuo shows it.

    >>> Secret("s3cret words")
    Secret(***)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        hide(text)
        self._text = text

    def reveal(self) -> str:
        """Return the secret, for the client that needs it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({SHOWN})"

    def __str__(self) -> str:
        return SHOWN

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __copy__(self) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written to files")


def secret_fields(options: type[DataclassInstance]) -> frozenset[str]:
    """Return the options that hold secrets: those of the type `Secret`, and texts that are called as one is."""
    hints = typing.get_type_hints(options)
    return frozenset(
        field.name
        for field in dataclasses.fields(options)
        if _is_secret(hints[field.name]) or (is_secret_name(field.name) and _is_text(hints[field.name]))
    )


def seal(options: type[DataclassInstance], given: Mapping[str, object]) -> dict[str, object]:
    """Return values for options with every secret remembered, and as a `Secret` where the option is declared as one."""
    hints, secret = typing.get_type_hints(options), secret_fields(options)
    sealed = dict(given)
    for name in secret & given.keys():
        value = given[name]
        if isinstance(value, str):
            hide(value)
            sealed[name] = Secret(value) if _is_secret(hints[name]) else value
    return sealed


def _is_secret(hint: Any) -> bool:
    return hint is Secret or any(_is_secret(part) for part in typing.get_args(hint))


def _is_text(hint: Any) -> bool:
    return hint is str or str in typing.get_args(hint)
