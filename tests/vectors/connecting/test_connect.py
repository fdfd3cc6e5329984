"""Addresses are taken apart, and what cannot be opened is refused."""

from __future__ import annotations

from typing import Any

import pytest

from dizuo.errors import VectorError
from dizuo.vectors import connect
from dizuo.vectors.connecting.connect import find_store


@pytest.mark.parametrize(
    ("url", "scheme", "place", "host", "port", "user"),
    [
        ("./index", "lancedb", "./index", None, None, None),
        ("lancedb:///a/b c?hot=x", "lancedb", "/a/b c", None, None, None),
        ("lancedb://a/b", "lancedb", "a/b", "a", None, None),
        ("postgres://u:p%40w@h:5/db", "postgresql", "h:5/db", "h", 5, "u"),
        ("rediss://h", "redis", "h", "h", None, None),
        ("Elasticsearch+HTTPS://h:9200", "elasticsearch", "h:9200", "h", 9200, None),
        ("memory://", "memory", "", None, None, None),
    ],
)
def test_addresses_are_taken_apart(
    url: str, scheme: str, place: str, host: str | None, port: int | None, user: str | None
) -> None:
    parts, _ = find_store(url)
    assert (parts.scheme, parts.place, parts.host, parts.port, parts.user) == (scheme, place, host, port, user)
    assert "p@w" not in str(parts)
    assert "p@w" not in repr(parts)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"url": ""}, "is no address of a store"),
        ({"url": "memry://", "dim": 2}, "no store is called 'memry' (did you mean 'memory'?)"),
        ({"url": "memory://h:x/", "dim": 2}, "cannot be read"),
        ({"url": "memory://", "dim": 0}, "1 to 65,536"),
        ({"url": "memory://", "dim": 2.0}, "1 to 65,536"),
        ({"url": "memory://", "dim": 2, "metric": "cosin"}, "there is no metric 'cosin' (did you mean 'cosine'?)"),
        ({"url": "memory://", "dim": 2, "colour": 1}, "the options of memory:// are wrong"),
        ({"url": "memory://?colour=1", "dim": 2}, "the options of memory:// are wrong"),
        ({"url": "lancedb://x?ef=many", "dim": 2}, "the options of lancedb:// are wrong"),
        ({"url": "memory://", "dim": 2, "collection": ""}, "no collection can be called ''"),
        ({"url": "memory://", "dim": 2, "namespace": "a\nb"}, "no namespace can be called"),
        ({"url": "memory://", "dim": 2, "namespace": "x" * 129}, "no namespace can be called"),
        ({"url": "memory://"}, "there is no collection 'default' yet"),
    ],
)
def test_what_cannot_be_connected_to_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(VectorError) as caught:
        connect(**arguments)
    assert message in caught.value.message
