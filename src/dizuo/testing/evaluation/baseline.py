"""What every baseline does: the fitted ones, and the prompts of the untuned model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from dizuo.evaluation.answering.answers import Absent, Answers
from dizuo.evaluation.baselines import BASELINES, Baseline, CheapModel, Prompt
from dizuo.evaluation.kinds import KINDS
from dizuo.evaluation.options import EvaluateOptions
from dizuo.evaluation.setting import ChatPrompt, Question
from dizuo.records import Json, Message

__all__ = ["BaselineSuite"]


class BaselineSuite:
    """What every baseline does."""

    name: str
    options: EvaluateOptions = EvaluateOptions()
    """With what the baseline needs, such as the address of an encoder."""
    labels: tuple[str, ...] = ("money", "music", "sport")

    @pytest.fixture
    def baseline(self) -> Baseline:
        """Return the baseline, found by its name."""
        return BASELINES.load(self.name)

    @pytest.fixture
    def rows(self, baseline: Baseline) -> list[tuple[str, str]]:
        """Return 60 training rows whose words give the answer away: a label, or a number where numbers are answered."""
        words = {"money": "bank profit", "music": "song guitar", "sport": "match goal"}
        numbers = {"money": "1.5", "music": "2.5", "sport": "-4"}
        rows = []
        for day in range(60):
            label = self.labels[day % 3]
            answer = numbers[label] if "number" in baseline.answers else label
            rows.append((f"the {words[label]} of day {day}", answer))
        return rows

    def test_it_has_a_title_and_a_kind_of_task_uses_it(self, baseline: Baseline) -> None:
        assert baseline.title
        assert baseline.name == self.name
        assert set(baseline.answers) & {kind.answers for kind in KINDS.all().values()}, (
            "no kind of task has such answers"
        )
        assert isinstance(baseline.how, CheapModel | Prompt)

    def test_a_fitted_model_answers_every_text_in_order(self, baseline: Baseline, rows: list[tuple[str, str]]) -> None:
        if not isinstance(baseline.how, CheapModel):
            return
        texts = [text for text, _ in rows[::7]]
        answers = self.fitted(baseline.how, rows, texts)
        assert len(answers.texts) == len(texts)
        assert all(isinstance(text, str) for text in answers.texts)
        assert self.fitted(baseline.how, rows, texts[::-1]).texts == list(answers.texts)[::-1]
        if "number" in baseline.answers:
            assert np.isfinite([float(text) for text in answers.texts]).all()
        elif baseline.answers == ("label",):
            assert set(answers.texts) <= set(self.labels)

    def test_stated_probabilities_are_those_of_the_labels(
        self, baseline: Baseline, rows: list[tuple[str, str]]
    ) -> None:
        if not isinstance(baseline.how, CheapModel):
            return
        answers = self.fitted(baseline.how, rows, [text for text, _ in rows[:9]])
        if answers.probabilities is None:
            return
        assert answers.probabilities.shape == (9, len(self.labels))
        assert np.allclose(answers.probabilities.sum(axis=1), 1)
        best = [self.labels[index] for index in answers.probabilities.argmax(axis=1)]
        sure = _largest_twice(answers.probabilities)
        assert [text for text, certain in zip(answers.texts, sure) if certain] == [
            a for a, certain in zip(best, sure) if certain
        ]

    def test_costs_are_counted(self, baseline: Baseline, rows: list[tuple[str, str]]) -> None:
        if not isinstance(baseline.how, CheapModel):
            return
        answers = self.fitted(baseline.how, rows, [rows[0][0]])
        assert answers.seconds_train is not None
        assert answers.mb_on_disk is not None
        assert answers.seconds_train >= 0
        assert answers.mb_on_disk >= 0

    def test_what_it_reads_is_fetched_once_and_named_by_its_digest(self, baseline: Baseline) -> None:
        if not isinstance(baseline.how, CheapModel) or baseline.how.fetch is None:
            return
        digest = baseline.how.fetch(self.options)
        assert digest is None or digest.startswith("sha256:")
        assert baseline.how.fetch(self.options) == digest

    def test_without_training_rows_it_is_absent_with_the_reason(self, baseline: Baseline) -> None:
        if not isinstance(baseline.how, CheapModel):
            return
        with pytest.raises(Absent, match=r"\w"):
            baseline.how.fit([], labels=self.labels, options=self.options)

    def test_a_prompt_ends_in_the_question_which_is_not_among_its_examples(self, baseline: Baseline) -> None:
        if not isinstance(baseline.how, Prompt):
            return
        rows: list[tuple[Question, Message | str]] = [
            (ChatPrompt((Message("user", f"question {number}"),)), Message("assistant", self.labels[number % 3]))
            for number in range(9)
        ]
        ask = baseline.how.prompts(rows, labels=self.labels, options=self.options)
        tools: tuple[Mapping[str, Json], ...] = ({"type": "function", "function": {"name": "look"}},)
        for question in [*(question for question, _ in rows), ChatPrompt((Message("user", "another"),), tools)]:
            shown = ask(question)
            assert isinstance(question, ChatPrompt)
            assert isinstance(shown, ChatPrompt)
            count = len(question.messages)
            assert shown.messages[-count:] == question.messages
            assert question.messages[0] not in shown.messages[:-count]
            assert shown.tools == question.tools
            assert ask(question) == shown

    def fitted(self, model: CheapModel, rows: list[tuple[str, str]], texts: Sequence[str]) -> Answers:
        """Return the baseline's answers, or skip the test where it cannot be made here."""
        try:
            return model.fit(rows, labels=self.labels, options=self.options)(texts)
        except Absent as reason:
            pytest.skip(str(reason))


def _largest_twice(shares: NDArray[np.float64]) -> list[bool]:
    """Return for which rows one probability is larger than all others."""
    two = np.sort(shares, axis=1)[:, -2:]
    return [bool(row[1] > row[0]) for row in two]
