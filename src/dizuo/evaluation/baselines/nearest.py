"""The answer of the most similar training question: what copying alone reaches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import Baseline, CheapModel
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore

__all__ = ["BASELINE", "fit"]


def fit(
    rows: Sequence[tuple[str, str]], *, labels: Sequence[str], options: EvaluateOptions, watch: Watcher = ignore
) -> Callable[[Sequence[str]], Answers]:
    """Return a function that answers with the training answer whose question has the nearest TF-IDF vector.

    Character 1- to 4-grams within words, which serve every script.

    Raises:
        Absent: there are no training rows, or their questions have no characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not rows:
        raise Absent("there are no training rows")
    began = time.perf_counter()
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True)
    try:
        features = vectorizer.fit_transform([text for text, _ in rows])
    except ValueError as error:
        raise Absent("the training questions have no text") from error
    answers = [answer for _, answer in rows]
    seconds = time.perf_counter() - began
    size = sum(len(text.encode("utf-8")) + len(answer.encode("utf-8")) for text, answer in rows)

    def answer(texts: Sequence[str]) -> Answers:
        start = time.perf_counter()
        nearest: list[str] = []
        for first in range(0, len(texts), 256):
            similar = vectorizer.transform(texts[first : first + 256]) @ features.T
            nearest += [answers[int(row)] for row in similar.toarray().argmax(axis=1)]
        passed = time.perf_counter() - start
        return Answers(
            texts=nearest,
            seconds_train=seconds,
            ms_per_item=1000 * passed / max(1, len(texts)),
            mb_on_disk=size / 1e6,
        )

    return answer


BASELINE = Baseline(title="nearest training answer", answers=("text", "labels"), how=CheapModel(fit))
