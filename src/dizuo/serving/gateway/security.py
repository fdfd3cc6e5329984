"""API keys say who may ask; without keys only programs of this machine may, and no web page.

A server on 127.0.0.1 is reachable by every page in the user's browser: a form can post to it from another site
(cross-site request), and a name that resolves to 127.0.0.1 makes it look like the page's own server (DNS rebinding).
So without keys, Host must name this machine and Origin, when there is one, must be this server. CORS stays off.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path

from dizuo.errors import ServingError
from dizuo.redaction import hide
from dizuo.serving.gateway.api_errors import ApiError
from dizuo.serving.options import ServeOptions

__all__ = ["KEYS_VARIABLE", "Gatekeeper", "read_keys"]

KEYS_VARIABLE = "DIZUO_API_KEYS"
_SHORTEST_KEY = 16


def read_keys(options: ServeOptions) -> dict[str, bytes]:
    """Return name → SHA-256 of the key; the keys themselves are kept nowhere but among what must not be shown.

    Raises:
        ServingError: the file cannot be read, or a key is too short to be one.
    """
    if options.keys_file is not None:
        try:
            lines = Path(options.keys_file).read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ServingError(f"the keys file {options.keys_file} cannot be read: {error}") from error
        source, entries = options.keys_file, [line.split("#", 1)[0].strip() for line in lines]
    else:
        source, entries = KEYS_VARIABLE, [e.strip() for e in os.environ.get(KEYS_VARIABLE, "").split(",")]
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(entries, start=1):
        if not entry:
            continue
        name, colon, key = entry.partition(":")
        if not colon:
            name, key = f"key-{number}", entry
        if len(key.strip()) < _SHORTEST_KEY:
            raise ServingError(
                f"{source}, entry {number}: a key has fewer than {_SHORTEST_KEY} characters",
                hint="make one with: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
            )
        hide(key.strip())
        keys[name.strip()] = _digest(key.strip())
    if options.keys_file is not None and not keys:
        raise ServingError(f"the keys file {options.keys_file} holds no key")
    return keys


class Gatekeeper:
    """Admits a request, or raises the error that says why not.

    Args:
        keys: from `read_keys`; empty means that everybody on this machine may ask.
        options: where the server is bound.

    Raises:
        ServingError: the server would be open to a network without keys.
    """

    def __init__(self, keys: Mapping[str, bytes], options: ServeOptions) -> None:
        if not keys and not options.loopback:
            raise ServingError(
                f"binding {options.host} would let everybody on the network ask, and no keys are set",
                hint=f"set {KEYS_VARIABLE} or keys_file, or bind 127.0.0.1",
            )
        self._keys = dict(keys)

    def admit(self, headers: Mapping[str, str]) -> str:
        """Return the name of the key that was used, or an empty string where none is needed.

        Args:
            headers: of the request, names in lower case.

        Raises:
            ApiError: 401 without a right key, 403 from another site.
        """
        if not self._keys:
            self._require_this_machine(headers)
            return ""
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise _unauthorised("no API key was given; send it as 'Authorization: Bearer KEY'")
        given = _digest(key.strip())
        # Every key is compared, in constant time each: how long it takes says nothing.
        matches = [name for name, digest in self._keys.items() if hmac.compare_digest(digest, given)]
        if not matches:
            raise _unauthorised("the API key is not known to this server")
        return matches[0]

    def _require_this_machine(self, headers: Mapping[str, str]) -> None:
        """Check the Host and Origin headers: both must name this machine."""
        host = headers.get("host", "")
        if not _is_local(_host_name(host)):
            raise ApiError(
                403,
                f"the Host header is {host[:100]!r}; without API keys this server answers to localhost only",
                code="host_not_allowed",
            )
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower()):
            raise ApiError(
                403,
                f"a page of {origin[:100]!r} may not use this server; without API keys other sites are refused",
                code="origin_not_allowed",
            )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _unauthorised(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"})


def _host_name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() and ":" in host else host


def _is_local(name: str) -> bool:
    if name.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
