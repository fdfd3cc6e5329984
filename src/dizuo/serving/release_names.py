"""A release is named `tickets`, `tickets@3` or `tickets:prod`; names are checked and parsed here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dizuo.errors import ServingError

__all__ = ["DEFAULT_ALIAS", "Reference", "check_name", "parse_reference"]

DEFAULT_ALIAS = "default"
"""What a bare name means, where it is set."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Names a release by its version, by an alias, or by its name alone."""

    name: str
    version: int | None = None
    alias: str | None = None

    def __str__(self) -> str:
        if self.version is not None:
            return f"{self.name}@{self.version}"
        return self.name if self.alias is None else f"{self.name}:{self.alias}"


def check_name(name: str, *, noun: str = "model name") -> str:
    """Return the name when it may become a path, as in `[a-z0-9][a-z0-9._-]*`.

    Raises:
        ServingError: it may not.
    """
    if not _NAME.fullmatch(name):
        raise ServingError(
            f"{name!r} is not a valid {noun}",
            hint="start with a-z or 0-9; then also '.', '_' and '-'; at most 128 characters",
        )
    return name


def parse_reference(text: str) -> Reference:
    """Return the reference that a user wrote.

    Raises:
        ServingError: it is no reference.
    """
    name, at, version = text.partition("@")
    if at:
        if not re.fullmatch(r"[1-9][0-9]{0,8}", version):
            raise ServingError(
                f"{text!r}: {version!r} is not a version number", hint=f"write it like {name or 'tickets'}@3"
            )
        return Reference(check_name(name), version=int(version))
    name, colon, alias = text.partition(":")
    check_name(name)
    return Reference(name, alias=check_name(alias, noun="alias")) if colon else Reference(name)
