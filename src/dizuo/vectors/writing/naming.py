"""Names of tables and indexes: a readable slug and a short hash, which every database can hold.

Databases differ in what a table or an index may be called. The slug is for people, and the hash keeps two logical names
apart (`Tickets` and `tickets`, `知识` and `库`). The same logical name always gives the same physical one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from dizuo.errors import VectorError

__all__ = ["check_name", "physical_name"]


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
