"""Names of tables and indexes: a readable slug and a short hash, which every database can hold.

Databases differ in what a table or an index may be called. The slug is for people, and the hash keeps two logical names
apart (`Tickets` and `tickets`, `知识` and `库`). The same logical name always gives the same physical one.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import unicodedata
from collections.abc import Iterable

from dizuo.errors import VectorError

__all__ = ["check_name", "find_generations", "generation_name", "new_generation", "physical_name"]

_GENERATION = re.compile(r"_g[0-9a-f]{8}")


def physical_name(name: str, *, prefix: str = "dizuo_", limit: int = 48) -> str:
    """Return the physical name of a logical one: lower-case letters, digits and `_`, starting with a letter.

    Args:
        name: any text.
        prefix: marks the tables of dizuo.
        limit: the longest name that the database takes; at least `len(prefix) + 10`.

    Example: `physical_name("Tickets 2024")` is `"dizuo_tickets_2024_" + 8 hexadecimal digits`.
    """
    digest = hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[: limit - len(prefix) - 9].strip("_")
    return f"{prefix}{slug}_{digest}" if slug else f"{prefix}{digest}"


def new_generation() -> str:
    """Return the mark of a collection that is about to be made: 8 hexadecimal digits that no other one has."""
    return secrets.token_hex(4)


def generation_name(name: str, generation: str) -> str:
    """Return the physical name of one generation of a collection, 10 characters longer than `name`.

    A collection that is dropped and made anew gets another mark, and so another physical name. What a handle of the old
    one asks for is then not found by the database itself, whatever the new one looks like.
    """
    return f"{name}_g{generation}" if generation else name


def find_generations(name: str, names: Iterable[str]) -> dict[str, str]:
    """Return by physical name the marks of the generations of a collection, of all tables that there are.

    The mark of a collection that was made before there were marks is empty.
    """
    rests = {other: other.removeprefix(name) for other in names if other.startswith(name)}
    return {other: rest[2:] for other, rest in rests.items() if not rest or _GENERATION.fullmatch(rest)}


def check_name(name: str, *, noun: str, empty: bool = False) -> str:
    """Return a logical name that every database can hold.

    Raises:
        VectorError: it is empty (unless allowed), longer than 128 bytes, or has control characters or surrogates.
    """
    if not isinstance(name, str):
        raise VectorError(f"a {noun} is named by text, not {name!r}")
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise VectorError(f"the {noun} {name!r} has half a surrogate pair") from None
    if (not name and not empty) or size > 128 or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
        raise VectorError(f"no {noun} can be called {name!r}", hint="use 1 to 128 bytes without control characters")
    return name
