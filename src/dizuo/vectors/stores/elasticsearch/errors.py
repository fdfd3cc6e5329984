"""The exceptions of Elasticsearch's client as ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dizuo.errors import VectorError
from dizuo.vectors.protocol.errors import Denied, Transient, Unreachable

__all__ = ["map_errors"]

BUSY = (429, 502, 503, 504)


@contextmanager
def map_errors(client: Any, address: str, *, opening: bool = False) -> Iterator[None]:
    """Turn the exceptions of Elasticsearch's client into ours.

    Args:
        client: is asked for the server's version where the two do not fit.
        address: of the server, for the messages.
        opening: whether the connection is being opened, where a missing server is the user's address.
    """
    import elasticsearch

    try:
        yield
    except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException) as error:
        raise Denied(f"{address} refused the user, password or key", hint="check the address") from error
    except elasticsearch.ApiError as error:
        if _is_other_version(error):
            raise _wrong_client(client, address, error) from error
        if error.status_code in BUSY:
            raise Transient(f"{address} is busy: {error}") from error
        raise VectorError(f"Elasticsearch: {error}") from error
    except elasticsearch.TransportError as error:
        if opening:
            hint = "is the server running, and is it elasticsearch+https://?"
            raise Unreachable(f"no Elasticsearch answers at {address}", hint=hint) from error
        raise Transient(f"{address} does not answer: {error}", hint="is the server running?") from error


def _is_other_version(error: Any) -> bool:
    """Return whether the server refused the client's version, which stands in the media type of every request.

    The version alone does not tell: a server takes clients of the version before its own, and some that say 8 take 9.
    """
    return error.status_code in (400, 406, 415) and (
        "media_type_header" in str(error.message) or "compatible-with" in str(error.body)
    )


def _wrong_client(client: Any, address: str, error: Any) -> VectorError:
    import elasticsearch

    own = elasticsearch.__versionstr__
    version, major = "", 0
    try:
        # Without a version in the media type every server answers.
        version = str(client.perform_request("GET", "/", headers={"accept": "*/*"})["version"]["number"])
        major = int(version.partition(".")[0])
    except (elasticsearch.ApiError, elasticsearch.TransportError, KeyError, ValueError):
        if named := re.search(r"either version (\d+)", str(error.body)):  # those that it takes, its own first
            major = int(named[1])
    server = f"of version {version or major}" if major else "of another version"
    wanted = f'pip install "elasticsearch>={major},<{major + 1}"' if major else "install the client of its version"
    return VectorError(
        f"{address} is an Elasticsearch {server}, and the client elasticsearch {own} cannot talk to it", hint=wanted
    )
