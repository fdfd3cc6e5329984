"""Rerankers read a question together with each text and score it, for a second, closer look at what a search found.

    cross_encoder.py    a sequence classifier of transformers with one label

Any function `(query, texts) -> scores` is a reranker. `open_reranker("cross_encoder:hf:cross-encoder/…")` loads a model
from this folder, where one is written like this:

    @dataclass(frozen=True, slots=True)
    class Options:
        max_tokens: int = 512

    def open_mine(address: str, options: Options, watch: Watcher) -> Reranker:
        import my_model                        # what is heavy is imported here

        return my_model.load(address, options.max_tokens).score

    RERANKER = RerankerKind(options=Options, open=open_mine, package="my-model", extra="my-package[model]")

Third parties name theirs in the entry-point group `dizuo.vectors.rerankers`; `dizuo.testing.RerankerSuite` tests one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from dizuo import packages
from dizuo.errors import VectorError
from dizuo.events import Watcher, ignore
from dizuo.plugins import Kind, check_fields
from dizuo.redaction import hide_logins, redact_errors
from dizuo.vectors.knowledge.text_models import bind_options, check_options, explain_import_error
from dizuo.vectors.writing.choices import check_address

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["RERANKERS", "Reranker", "RerankerKind", "open_reranker", "reorder"]

Item = TypeVar("Item")
OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


class Reranker(Protocol):
    """Higher is more relevant; scores of one query compare, those of two queries need not."""

    def __call__(self, query: str, texts: Sequence[str], /) -> Sequence[float]:
        """Return one score per text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankerKind(Generic[OptionsT]):
    """A kind of reranker that `open_reranker` can open."""

    options: type[OptionsT]
    """A dataclass: the keyword arguments that `open_reranker` takes for it. Every field has a default."""
    open: Callable[[str, OptionsT, Watcher], Reranker]
    """(address, options, watch) -> the reranker. The address is what stands behind `NAME:`; `watch` hears of
    downloads."""
    package: str = ""
    """The package it runs on, as PyPI calls it. If an import fails while it is opened, the user is told to
    install it; empty where it needs none beyond dizuo's own."""
    extra: str = ""
    """What pip installs that package by."""
    name: str = ""
    """The name of its file; filled in by `RERANKERS.load`."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_options(self.options)


RERANKERS: Kind[RerankerKind[DataclassInstance]] = Kind(
    "reranker", "dizuo.vectors.rerankers", "RERANKER", RerankerKind, error=VectorError
)
"""Every kind of reranker, ours and third parties'."""


def open_reranker(address: str, *, watch: Watcher = ignore, **options: object) -> Reranker:
    """Return the reranker at `NAME:…`; an address without a name is a cross-encoder's.

    Raises:
        VectorError: it is not one that can be run, or has no such option.
        ArtifactError: the model cannot be fetched.
        MissingPackage: the package that it runs on is not installed.
    """
    if isinstance(address, str):
        hide_logins(address)
    check_address(address, RERANKERS.names(), noun="reranker")
    name, _, rest = address.partition(":")
    name = name.replace("-", "_")
    if name not in RERANKERS.names():
        name, rest = "cross_encoder", address
    kind = RERANKERS.load(name)
    bound = bind_options(kind.options, options, f"the reranker {address}")
    try:
        with redact_errors():
            return kind.open(rest, bound, watch)
    except ImportError as error:
        purpose = f"the reranker {name.replace('_', '-')}"
        if not kind.package:
            if missing := packages.explain(error, purpose=purpose):
                raise missing from error
            raise
        raise explain_import_error(error, kind.package, purpose=purpose, install=kind.extra) from error


def reorder(
    reranker: Reranker, query: str, items: Sequence[Item], texts: Sequence[str], k: int
) -> list[tuple[Item, float]]:
    """Return the k best items with the reranker's scores, best first; equal scores keep their order.

    Args:
        reranker: any function of (query, texts).
        query: the question.
        items: what was found.
        texts: one per item.
        k: how many to keep.

    Raises:
        VectorError: it returned another number of scores, or one that is not finite.
    """
    if not items:
        return []
    scores = [float(score) for score in reranker(query, list(texts))]
    if len(scores) != len(items):
        raise VectorError(f"the reranker returned {len(scores)} scores for {len(items)} texts")
    if not all(map(math.isfinite, scores)):
        raise VectorError("the reranker returned a score that is not finite")
    order = sorted(range(len(items)), key=lambda index: -scores[index])[: max(0, k)]
    return [(items[index], scores[index]) for index in order]
