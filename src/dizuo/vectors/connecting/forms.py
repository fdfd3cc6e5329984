"""What has no `://` in it is the path of a folder, unless it is an address that was written wrongly.

`redis:localhost:6379` and `me:secret@host/db` are good names of folders for a computer. A person who writes one means a
server, would get an empty LanceDB, and would have the password in the name of a folder. So a word that begins a path is
refused where a colon follows it, and the error says what to write: for a server, and for a folder.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable

from dizuo.errors import VectorError
from dizuo.redaction import hide_logins, looks_like_login
from dizuo.vectors.connecting.addresses import ALIASES

__all__ = ["check_folder", "check_scheme", "has_scheme"]

PORTS = {
    6379: "redis", 5432: "postgresql", 9200: "elasticsearch", 8123: "clickhouse", 8443: "clickhouse", 19530: "milvus",
    8882: "marqo", 8000: "chroma",
}  # fmt: skip
"""Where servers listen, and so which one is meant by `localhost:6379`."""
ALIKE = 0.84
"""How much a word alone must be like a store's name to be taken for it, from 0 to 1."""
ALIKE_BEFORE_A_COLON = 0.7
SHORTEST = 5
"""Letters that such a word has at least."""
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_WORD = re.compile(r"([A-Za-z][A-Za-z0-9+._-]*)(?P<mark>[:;]?[\\/]{2,}|[:;][\\/]?|$)")
_SERVER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+):(?P<port>\d{1,5})(?P<path>/[^@]*)?")


def has_scheme(url: str) -> bool:
    """Return whether an address begins with `WORD://`."""
    return _SCHEME.match(url) is not None


def check_scheme(scheme: str, names: Collection[str]) -> None:
    """Refuse `http://`, which names no store, and say which ones are meant.

    Raises:
        VectorError: it is `http` or `https`.
    """
    if scheme.lower() in ("http", "https") and scheme.lower() not in names:
        hint = f"the store stands first, as in elasticsearch+{scheme.lower()}://HOST:9200"
        raise VectorError(f"{scheme}:// says how a server is reached and not which store it is", hint=hint)


def check_folder(text: str, names: Iterable[str]) -> str:
    """Return a text without a scheme that is the path of a folder.

    Args:
        text: what was given as an address.
        names: of the stores.

    Raises:
        VectorError: it is an address that was written wrongly; the hint has the right form, without user and password.
    """
    known = {*names, *ALIASES}
    if os.path.exists(text) and text.lower() not in known:  # unlike Path.exists it raises nothing that quotes the text
        return text
    if re.match(r"[./~]|\\(?!\\)", text) and not text.startswith("//"):
        if looks_like_login(text):
            raise _refuse(text, "a user and a password in it", f"write {_right_form(text.lstrip('./~'))}")
        return text
    if re.match(r"[A-Za-z]:(?:[\\/]|$)", text) and (os.name == "nt" or "@" not in text):  # a drive
        return text
    bare = text.lstrip("/\\ ")
    word = _WORD.match(bare)
    name = _find_name(word[1], known, alone=not word["mark"]) if word else None
    if word and name:
        folder = f", or ./{text} for a folder of that name" if re.fullmatch(r"[\w.+-]+", text) else ""
        hint = f"write {name}://{_show_place(bare[word.end() :])}{folder}"
        raise _refuse(text, f"the name of a store and no {name}:// in it", hint)
    if _SERVER.fullmatch(bare):
        hint = f"write {_right_form(bare)}, or ./{bare} for a folder of that name"
        raise _refuse(text, "a server and no scheme in it", hint)
    if re.match(r"\w+\s*=", bare) and looks_like_login(bare):  # as libpq takes it
        raise _refuse(text, "a password and no scheme in it", "write postgresql://USER:PASSWORD@HOST/DATABASE")
    if looks_like_login(bare):
        raise _refuse(text, "a user and a password and no scheme in it", f"write {_right_form(bare)}")
    if "://" in bare or (word and ":" in word["mark"]):
        hint = "write SCHEME://HOST for a server, or put ./ before it for a folder of that name"
        raise _refuse(text, "a colon and no scheme in it", hint)
    return text


def _find_name(word: str, known: Collection[str], *, alone: bool) -> str | None:
    """Return the store that a word names, or nearly names."""
    low, plus, extra = word.lower().partition("+")
    if low in known:
        return f"{low}{plus}{extra}"
    alike = ALIKE if alone else ALIKE_BEFORE_A_COLON
    near = difflib.get_close_matches(low, known, n=1, cutoff=alike) if len(low) >= SHORTEST else []
    return f"{near[0]}{plus}{extra}" if near else None


def _right_form(bare: str) -> str:
    """Return what should have been written, with the store that listens at that port."""
    server = _SERVER.fullmatch(bare.rpartition("@")[2])
    store = PORTS.get(int(server["port"]), "SCHEME") if server else "SCHEME"
    return f"{store}://{_show_place(bare)}"


def _show_place(rest: str) -> str:
    """Return the host, the port and the path of an address; words in the place of a login, and of what is unclear."""
    _, at, place = rest.rpartition("@")
    clear = _SERVER.fullmatch(place) or re.fullmatch(r"[\w.~-]*(?:/[\w./~ -]*)?", place)
    return f"{'USER:PASSWORD@' if at else ''}{place if clear else 'HOST'}"


def _refuse(text: str, what: str, hint: str) -> VectorError:
    hide_logins(text)
    return VectorError(f"the address has {what}", hint=hint)
