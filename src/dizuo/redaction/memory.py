"""The secrets that are remembered, and texts without them.

A secret is remembered as all pieces of six characters that it has, in every form in which clients write it (escaped for
URLs or for JSON, as base64). A text is then looked through once, however many secrets there are. Pieces in two cases
are one: parsers of URLs write the host in lower case, and a misread password is often taken for a host.

Short secrets are not looked for: "a" stands everywhere. Neither are words that messages are made of: who has the
password "postgres" would read *** in every text about PostgreSQL, and it hides nothing.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["SHOWN", "hide", "on_first_secret", "strip_pieces", "strip_whole"]

PIECE = 6
"""Characters that a part of a secret must have to be hidden."""
LONG = 16
"""Characters from which letters alone are no ordinary word."""
SHOWN = "***"
"""What stands in the place of a secret."""
PUBLIC = frozenset(
    [
        "access",
        "address",
        "another",
        "authentication",
        "boolean",
        "called",
        "cannot",
        "change",
        "character",
        "characters",
        "chroma",
        "clickhouse",
        "client",
        "closed",
        "collection",
        "column",
        "columns",
        "command",
        "connect",
        "connected",
        "connecting",
        "connection",
        "connections",
        "database",
        "default",
        "denied",
        "details",
        "dimension",
        "document",
        "documents",
        "elastic",
        "elasticsearch",
        "encoded",
        "engine",
        "expected",
        "failed",
        "failure",
        "folder",
        "format",
        "greater",
        "header",
        "headers",
        "invalid",
        "lancedb",
        "length",
        "letter",
        "letters",
        "localhost",
        "memory",
        "message",
        "metadata",
        "metric",
        "milvus",
        "milvusdb",
        "missing",
        "module",
        "namespace",
        "network",
        "number",
        "numbers",
        "object",
        "option",
        "options",
        "package",
        "password",
        "pinecone",
        "please",
        "position",
        "postgres",
        "postgresql",
        "problem",
        "provided",
        "pymilvus",
        "python",
        "reading",
        "reason",
        "recall",
        "record",
        "records",
        "redisearch",
        "refused",
        "request",
        "required",
        "response",
        "result",
        "retries",
        "return",
        "running",
        "schema",
        "search",
        "second",
        "seconds",
        "secret",
        "server",
        "servers",
        "service",
        "should",
        "socket",
        "stands",
        "status",
        "stopped",
        "string",
        "support",
        "supported",
        "system",
        "table",
        "tables",
        "timeout",
        "unable",
        "unknown",
        "useful",
        "username",
        "values",
        "vector",
        "vectors",
        "version",
        "waiting",
        "warning",
        "within",
        "without",
        "writing",
        "written",
        "wrong",
    ]
)
"""Words of six letters or more that messages are made of: one of them says nothing about a password."""

on_first_secret: list[Callable[[], None]] = []
"""Called once, when there is something to hide."""

_texts: set[str] = set()
"""The secrets as they are."""
_pieces: set[str] = set()
"""All pieces of `PIECE` characters of all their forms, in lower case."""
_whole: dict[str, list[str]] = {}
"""By its first piece, every form of a secret that is no ordinary word, in lower case."""


def hide(*secrets: str | None) -> None:
    """Remember secrets: from now on no text that is redacted shows a part of one that has six characters or more.

    Args:
        secrets: passwords, keys, tokens; None and shorter ones are passed over.
    """
    for text in secrets:
        if text is None or len(text) < PIECE or text in _texts:
            continue
        _texts.add(text)
        for form in _forms(text):
            low = _lower(form)
            _pieces.update(low[at : at + PIECE] for at in range(len(low) - PIECE + 1))
            if len(low) >= PIECE and (len(low) >= LONG or not low.isalpha()):
                _whole.setdefault(low[:PIECE], []).append(low)
        while on_first_secret:
            on_first_secret.pop()()


def strip_pieces(text: str) -> str:
    """Return the text with *** in the place of every part of a secret."""
    if not _pieces or len(text) < PIECE:
        return text
    low = _lower(text)
    out: list[str] = []
    done = at = 0
    while at <= len(low) - PIECE:
        if low[at : at + PIECE] not in _pieces:
            at += 1
            continue
        end = at + PIECE
        while end < len(low) and low[end - PIECE + 1 : end + 1] in _pieces:
            end += 1
        if _is_public(low, at, end):
            at = end - PIECE + 1
        else:
            out += [text[done:at], SHOWN]
            done = at = end
    return "".join([*out, text[done:]]) if out else text


def strip_whole(text: str) -> str:
    """Return the text with *** in the place of every whole secret that is no ordinary word."""
    if not _whole or len(text) < PIECE:
        return text
    low = _lower(text)
    out: list[str] = []
    done = at = 0
    while at <= len(low) - PIECE:
        known = [len(form) for form in _whole.get(low[at : at + PIECE], ()) if low.startswith(form, at)]
        if known:
            out += [text[done:at], SHOWN]
            done = at = at + max(known)
        else:
            at += 1
    return "".join([*out, text[done:]]) if out else text


def _forms(text: str) -> set[str]:
    """Return a secret as clients write it."""
    import base64  # imported here: `dizuo --help` has no secret
    import html
    import json
    from urllib.parse import quote, unquote

    raw = text.encode("utf-8", "replace")
    quoted = quote(raw, safe="")
    forms = {text, unquote(text), quoted, quote(raw), quoted.replace("%20", "+")}
    forms |= {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], repr(text)[1:-1], ascii(text)[1:-1]}
    return forms | {html.escape(text), base64.b64encode(raw).decode().rstrip("=")}


def _lower(text: str) -> str:
    """Return the text in lower case with as many characters as before, so that positions in both are the same."""
    low = text.lower()
    return low if len(low) == len(text) else "".join(one.lower() if len(one.lower()) == 1 else one for one in text)


def _is_public(low: str, start: int, end: int) -> bool:
    """Return whether what a text and a secret have in common is, or is part of, a word that stands in many texts.

    Letters in the midst of other letters are such a part, as in `secrets`, too: what quotes a password, or a piece of
    it, puts something else around it.
    """
    while start < end and not low[start].isalnum():
        start += 1
    while start < end and not low[end - 1].isalnum():
        end -= 1
    first, last = start, end
    while start > 0 and low[start - 1].isalnum():
        start -= 1
    while end < len(low) and low[end].isalnum():
        end += 1
    if low[start:end] in PUBLIC:
        return True
    before, after = low[first - 1 : first], low[last : last + 1]
    return low[first:last].isalpha() and (before.isalpha() or after.isalpha())
