"""A password, a key or a token goes in once; no text that dizuo shows, logs or writes has it, or a part of it, in it.

    hide("s3cret…")           remember a secret
    hide_logins(address)      remember every login in a text that a user gave as an address
    Secret("s3cret…")         a value that shows itself as ***, and is remembered from the moment it is made
    redact(text)              the text as it may be shown: nothing of a secret that has six characters or more
    redact_values(value)      JSON values as they may be written: no whole secret
    without_secrets(error)    the error as it may be raised: its causes tell nothing either
    redact_errors()           a context: what is raised inside is raised `without_secrets`; ErrorGuard has a lock, too

A pattern alone cannot do this: an error of a client that misread an address quotes any piece of it. So whoever meets a
secret remembers it (the parser of addresses, an option of the type `Secret`, variables such as HF_TOKEN), and whoever
shows text passes it through `redact`. `DizuoError`, events, log records, the command line and the writers of files do
that by themselves; a new database or a new verb has nothing to remember.

    memory.py       the secrets that are remembered, and texts without them
    logins.py       where a login stands in an address, also in one whose password is not escaped
    secret.py       the type `Secret`
    redacting.py    `redact` and `redact_values`: logins by their form, secrets by memory, those of the environment too
    chains.py       errors with their causes, and log records
"""

from __future__ import annotations

from dizuo.redaction.chains import ErrorGuard, redact_errors, without_secrets
from dizuo.redaction.logins import (
    has_login,
    hide_login,
    hide_logins,
    is_secret_name,
    looks_like_login,
    names_port,
    split_login,
)
from dizuo.redaction.memory import hide
from dizuo.redaction.redacting import redact, redact_values
from dizuo.redaction.secret import Secret, seal, secret_fields

__all__ = [
    "ErrorGuard",
    "Secret",
    "has_login",
    "hide",
    "hide_login",
    "hide_logins",
    "is_secret_name",
    "looks_like_login",
    "names_port",
    "redact",
    "redact_errors",
    "redact_values",
    "seal",
    "secret_fields",
    "split_login",
    "without_secrets",
]
