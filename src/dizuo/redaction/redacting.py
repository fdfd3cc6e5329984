"""`redact` and `redact_values`: all text that is shown and every value that is written passes through one of them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from dizuo.redaction.logins import has_login, hide_logins, strip_logins
from dizuo.redaction.memory import PIECE, hide, strip_pieces, strip_whole

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
"""As in `dizuo.records`, which stands above this room."""

__all__ = ["redact", "redact_values", "watch_environment"]

_SECRETS = re.compile(r"(?:PASSWORD|PASSWD|SECRET|SECRET_KEY|ACCESS_KEY|API_?KEY|(?:^|_)TOKEN)$")
"""Variables whose value is a secret, such as PGPASSWORD, HF_TOKEN and OPENAI_API_KEY."""

_seen: dict[str, str] = {}
"""Variables that were looked at, with the value that they had."""
_last: dict[object, object] | None = None
"""The environment as it was then, as bytes."""


def redact(text: str) -> str:
    """Return the text with *** in the place of every login in a URL and of every part of a secret.

    >>> redact("https://me:secret@example.org/a.csv")
    'https://***@example.org/a.csv'
    """
    watch_environment()
    return strip_pieces(strip_logins(text))


def redact_values(value: Json) -> Json:
    """Return JSON values with *** in the place of every whole secret.

    Values are data and not prose: a label stays what it is although a password begins in the same way. Keys stay, too.
    """
    watch_environment()
    return _redact_value(value)


def watch_environment() -> None:
    """Remember the secrets of the environment, such as HF_TOKEN, and the logins in addresses such as PIP_INDEX_URL."""
    global _last
    # Every text that is shown comes through here: decoding sixty variables takes 60 µs, seeing that none has changed 2.
    now: dict[object, object] | None = getattr(os.environ, "_data", None)
    if now is not None and now == _last:
        return
    for name, value in os.environ.items():
        if len(value) < PIECE or _seen.get(name) == value:
            continue
        _seen[name] = value
        if _SECRETS.search(name):
            hide(value)
        elif "://" in value and "@" in value:
            for address in value.split():
                if has_login(address):
                    hide_logins(address)
    _last = None if now is None else dict(now)


def _redact_value(value: Json) -> Json:
    if isinstance(value, str):
        return strip_whole(value)
    if isinstance(value, Mapping):
        return {key: _redact_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact_value(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_redact_value(item) for item in value)
    return value
