"""TF-IDF with logistic regression: seconds to train, a megabyte to keep, and often hard to beat."""

from __future__ import annotations

import time
import unicodedata
import warnings
from collections.abc import Callable, Sequence

from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import Baseline, CheapModel
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore

__all__ = ["BASELINE", "fit"]


def fit(
    rows: Sequence[tuple[str, str]], *, labels: Sequence[str], options: EvaluateOptions, watch: Watcher = ignore
) -> Callable[[Sequence[str]], Answers]:
    """Return a classifier over word 1- and 2-grams, or character 1- to 3-grams where text has no spaces (CJK).

    Raises:
        Absent: there are no training rows, or they have a single label.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if not rows:
        raise Absent("there are no training rows")
    if len({answer for _, answer in rows}) < 2:
        raise Absent("the training rows have a single label")
    began = time.perf_counter()
    characters = _without_spaces(rows)
    vectorizer = TfidfVectorizer(
        analyzer="char" if characters else "word",
        ngram_range=(1, 3) if characters else (1, 2),
        token_pattern=None if characters else r"(?u)\b\w+\b",
        sublinear_tf=True,
    )
    classifier = LogisticRegression(C=10.0, max_iter=1000)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        try:
            features = vectorizer.fit_transform([text for text, _ in rows])
        except ValueError as error:  # every text is empty
            raise Absent("the training texts have no words") from error
        classifier.fit(features, [answer for _, answer in rows])
    seconds = time.perf_counter() - began
    # What a file of it holds: float32 weights and the vocabulary.
    size = classifier.coef_.size * 4 + sum(len(term.encode("utf-8")) + 8 for term in vectorizer.vocabulary_)
    unit = "character 1–3-grams" if characters else "word 1–2-grams"

    def answer(texts: Sequence[str]) -> Answers:
        import numpy as np

        start = time.perf_counter()
        raw = classifier.predict_proba(vectorizer.transform(texts))
        passed = time.perf_counter() - start
        known = [str(label) for label in classifier.classes_]
        every = list(dict.fromkeys([*labels, *known]))
        table = np.zeros((len(texts), len(every)))
        table[:, [every.index(label) for label in known]] = raw
        return Answers(
            texts=[every[i] for i in table.argmax(axis=1)],
            probabilities=table[:, : len(labels)],
            seconds_train=seconds,
            ms_per_item=1000 * passed / max(1, len(texts)),
            mb_on_disk=size / 1e6,
            note=f"{unit}, {len(vectorizer.vocabulary_):,} of them",
        )

    return answer


def _without_spaces(rows: Sequence[tuple[str, str]]) -> bool:
    """Whether a fifth of the letters belongs to scripts that are written without spaces."""
    letters = [character for text, _ in rows[:500] for character in text[:200] if character.isalpha()]
    return 5 * sum(map(_spaceless, letters)) > len(letters)


def _spaceless(character: str) -> bool:
    if character < "\u0e00":
        return False
    name = unicodedata.name(character, "")
    return name.startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"))


BASELINE = Baseline(title="TF-IDF + logistic regression", answers=("label",), how=CheapModel(fit))
