"""The exceptions of Redis' client as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dizuo.errors import VectorError
from dizuo.vectors.protocol.errors import CollectionGone, Denied, Transient, Unreachable

__all__ = ["map_errors"]


@contextmanager
def map_errors(address: str, *, opening: bool = False, collection: str = "") -> Iterator[None]:
    """Turn the exceptions of Redis' client into ours.

    Args:
        address: of the server, for the messages.
        opening: whether the connection is being opened, where a missing server is the user's address.
        collection: whose indexes these are; one that is missing was dropped.
    """
    import redis

    try:
        yield
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        raise Denied(f"{address} refused the user or password", hint="check the address") from error
    except redis.BusyLoadingError as error:
        raise Transient(f"{address} is loading its data") from error
    except (redis.ConnectionError, redis.TimeoutError) as error:
        text = f"no Redis answers at {address}: {error}"
        if opening:
            raise Unreachable(text, hint="is the server running, and the port right?") from error
        raise Transient(text, hint="is the server running?") from error
    except redis.ResponseError as error:
        if "unknown command" in str(error):
            hint = "run Redis 8, Redis Stack, or load redisearch.so"
            raise VectorError(f"the Redis at {address} has no search module", hint=hint) from error
        if collection and ("no such index" in str(error).lower() or "unknown index name" in str(error).lower()):
            raise CollectionGone(collection) from error
        raise VectorError(f"Redis: {error}") from error
