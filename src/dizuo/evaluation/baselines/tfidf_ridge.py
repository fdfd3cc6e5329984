"""TF-IDF with ridge regression: the cheap model that a number predicted by a language model has to beat."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence

from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import Baseline, CheapModel
from dizuo.evaluation.options import EvaluateOptions
from dizuo.events import Watcher, ignore

__all__ = ["BASELINE", "fit"]

STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Of the penalty; chosen by five-fold cross-validation on the training rows."""


def fit(
    rows: Sequence[tuple[str, str]], *, labels: Sequence[str], options: EvaluateOptions, watch: Watcher = ignore
) -> Callable[[Sequence[str]], Answers]:
    """Return a regressor over word 1- and 2-grams; its answers are numbers as text.

    Raises:
        Absent: there are fewer than ten training rows, their answers are no numbers, or their texts have no words.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    if len(rows) < 10:
        raise Absent("there are fewer than ten training rows")
    began = time.perf_counter()
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    try:
        numbers = np.array([float(answer) for _, answer in rows])
    except ValueError as error:
        raise Absent(f"the training answers are no numbers: {error}") from error
    try:
        features = vectorizer.fit_transform([text for text, _ in rows])
    except ValueError as error:  # every text is empty
        raise Absent("the training texts have no words") from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="sklearn")
        search = GridSearchCV(Ridge(), {"alpha": STRENGTHS}, scoring="neg_mean_squared_error", cv=5)
        search.fit(features, numbers)
    seconds = time.perf_counter() - began
    size = search.best_estimator_.coef_.size * 4 + sum(len(term.encode("utf-8")) + 8 for term in vectorizer.vocabulary_)

    def answer(texts: Sequence[str]) -> Answers:
        start = time.perf_counter()
        predicted = search.predict(vectorizer.transform(texts))
        passed = time.perf_counter() - start
        return Answers(
            texts=[repr(float(value)) for value in predicted],
            seconds_train=seconds,
            ms_per_item=1000 * passed / max(1, len(texts)),
            mb_on_disk=size / 1e6,
            note=f"penalty {search.best_params_['alpha']:g}, by cross-validation",
        )

    return answer


BASELINE = Baseline(title="TF-IDF + ridge regression", answers=("number",), how=CheapModel(fit))
