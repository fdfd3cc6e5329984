"""The exceptions of Pinecone's client as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dizuo.errors import VectorError
from dizuo.vectors.protocol.errors import Denied, Transient, Unreachable

__all__ = ["map_errors"]


@contextmanager
def map_errors(address: str, *, opening: bool = False) -> Iterator[None]:
    """Turn the exceptions of Pinecone's client into ours.

    Args:
        address: of the service, for the messages.
        opening: whether the connection is being opened, where a missing service is the user's address.
    """
    import pinecone

    try:
        yield
    except pinecone.UnauthorizedError as error:
        raise Denied(f"{address} refused the API key", hint="check the key") from error
    except pinecone.ForbiddenError as error:  # the key's permissions, or the project's quota
        raise Denied(f"{address} does not allow this: {error}", hint="see the project's limits") from error
    except pinecone.RateLimitError as error:
        raise Transient(f"{address} is busy: {error}", after=error.retry_after) from error
    except pinecone.ServiceError as error:
        raise Transient(f"{address} is in trouble: {error}") from error
    except pinecone.NotFoundError as error:
        if opening or "namespace" in str(error).lower():
            raise
        raise VectorError(f"Pinecone: {error}", hint="was the collection dropped?") from error
    except (pinecone.PineconeConnectionError, pinecone.PineconeTimeoutError) as error:
        if opening:
            hint = "is this machine on the net, and the host right?"
            raise Unreachable(f"no Pinecone answers at {address}", hint=hint) from error
        raise Transient(f"{address} does not answer: {error}", hint="is this machine on the net?") from error
    except pinecone.PineconeError as error:
        raise VectorError(f"Pinecone: {error}") from error
