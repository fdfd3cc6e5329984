"""What the calls of a knowledge base take: a word or a form that is not meant is an error with what is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dizuo.errors import VectorError
from dizuo.vectors.embedders import Embedder
from dizuo.vectors.knowledge.documents.decoding import check_encoding
from dizuo.vectors.writing.choices import check_choice
from dizuo.vectors.writing.naming import check_name
from dizuo.vectors.writing.queries import check_k

__all__ = ["check_folder", "check_opening", "check_search"]

_MODES = ("hybrid", "dense", "words")
_MODES_ELSEWHERE = {
    **dict.fromkeys(("bm25", "lexical", "keyword", "keywords", "sparse", "fulltext", "text"), "words"),
    **dict.fromkeys(("vector", "vectors", "semantic", "embedding", "knn", "similarity"), "dense"),
    **dict.fromkeys(("both", "fusion", "rrf", "mixed"), "hybrid"),
}
"""What people call a mode elsewhere → the mode."""
_OURS = {"collection": "name", "dim": "", "metric": "", "namespace": "name", "create": ""}
"""What `connect` takes and a knowledge base chooses itself → what is meant."""
_ON_ERROR = ("keep", "raise")
_ON_ERROR_ELSEWHERE = {"skip": "keep", "ignore": "keep", "collect": "keep", "stop": "raise", "strict": "raise"}


def check_opening(embedder: object, name: object, size: object, overlap: object, options: Mapping[str, Any]) -> None:
    """Refuse arguments of `open` that are not what they must be."""
    if isinstance(embedder, str):
        raise VectorError(f"the embedder is a text, {embedder!r}", hint=f"open_embedder({embedder!r}) opens it")
    if not isinstance(embedder, Embedder):
        raise VectorError(
            f"{embedder!r:.60} is no embedder", hint="open_embedder() opens one, CallableEmbedder makes one"
        )
    check_name(name, noun="knowledge base")  # type: ignore[arg-type]
    for key, given in (("size", size), ("overlap", overlap)):
        if given is not None and (type(given) is not int or given < 0):
            raise VectorError(f"{key} is {given!r}, and it is a number of tokens")
    if ours := [key for key in options if key in _OURS]:
        meant = _OURS[ours[0]]
        raise VectorError(
            f"a knowledge base chooses {ours[0]!r} itself" + (f" (did you mean {meant!r}?)" if meant else ""),
            hint="options are those of the database, such as lexical=…",
        )


def check_search(query: object, k: object, mode: object, rerank: object, depth: object) -> None:
    """Refuse arguments of `search` that are not what they must be."""
    check_choice(mode, _MODES, noun="mode", also=_MODES_ELSEWHERE)
    check_k(k)  # type: ignore[arg-type]
    if not isinstance(query, str):
        raise VectorError(f"a query is one text, not {query!r:.60}", hint="search once for each")
    if isinstance(rerank, str):
        raise VectorError(f"rerank is a text, {rerank!r}", hint=f"open_reranker({rerank!r}) opens it")
    if rerank is not None and not callable(rerank):
        raise VectorError(f"rerank is {rerank!r:.60}, and no function of (query, texts)")
    if depth is not None and (type(depth) is not int or depth < 1):
        raise VectorError(f"depth is {depth!r}, and it is a number of passages")


def check_folder(root: object, on_error: object, encoding: str | None) -> None:
    """Refuse arguments of `sync_folder` that are not what they must be."""
    check_choice(on_error, _ON_ERROR, noun="on_error", also=_ON_ERROR_ELSEWHERE)
    if not isinstance(root, str | Path):
        raise VectorError(f"root is {root!r:.60}, and no path of a folder", hint="call it once for each folder")
    if encoding is not None:
        check_encoding(encoding)
