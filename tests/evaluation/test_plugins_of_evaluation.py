"""Our own metrics, figures, baselines and kinds of tasks, held to the suites that a third party's are held to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from evaluation_samples import LABELS, headed, pairs, questions, severally, with_numbers, write_data

from dizuo.data import Dataset, Task
from dizuo.errors import PluginError
from dizuo.evaluation import EvaluateOptions
from dizuo.evaluation.baselines import BASELINES, CheapModel, Prompt
from dizuo.evaluation.choosing import choose_kind
from dizuo.evaluation.figures import FIGURES, Figure
from dizuo.evaluation.kinds import KINDS
from dizuo.evaluation.metrics import METRICS, Metric
from dizuo.evaluation.setting import Setting
from dizuo.events import ignore
from dizuo.models.heads import HeadFacts, read
from dizuo.testing import BaselineSuite, FigureSuite, MetricSuite, TaskKindSuite


@pytest.mark.parametrize("name", METRICS.names())
class TestMetrics(MetricSuite):
    @pytest.fixture(autouse=True)
    def _name(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize("name", FIGURES.names())
class TestFigures(FigureSuite):
    @pytest.fixture(autouse=True)
    def _name(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize("name", BASELINES.names())
class TestBaselines(BaselineSuite):
    @pytest.fixture(autouse=True)
    def _name(self, name: str, encoder: Path) -> None:
        self.name = name
        self.options = EvaluateOptions(embedder=str(encoder))


OPTIONS = EvaluateOptions(
    embedder="none",
    served_items=3,
    five_shot_items=2,
    generation_items=4,
    max_items=6,
    max_tokens=8,
    samples=2,
    shots=2,
)
HEADS = {
    "multi_label": HeadFacts("multi_label", labels=LABELS),
    "regression": HeadFacts("regression", mean=40.0, scale=5.0),
    "reward": HeadFacts("reward"),
}


@pytest.mark.parametrize("name", KINDS.names())
class TestKinds(TaskKindSuite):
    @pytest.fixture(autouse=True)
    def _name(self, name: str) -> None:
        self.name = name

    @pytest.fixture
    def setting(self, name: str, spec: Any, adapter: Path, news: Dataset, tmp_path: Path) -> Setting:
        data = news
        if name == "generation":
            data = write_data(tmp_path, train=questions(20), test=questions(4, seed=1), task=Task("generation"))
        elif name == "multi_label":
            task = Task("classification", "Name all sections.", LABELS, multi_label=True)
            data = write_data(tmp_path, train=severally(12), test=severally(6), task=task)
        elif name == "regression":
            rows = with_numbers(20)
            task = Task("classification", "How long?", tuple(sorted({row.labels[0] for row in rows})))
            data = write_data(tmp_path, train=rows, test=rows[:5], task=task)
        elif name in ("preference", "reward"):
            data = write_data(tmp_path, train=pairs(3), test=pairs(6), task=Task("preference"))
        if name in HEADS:
            adapter = headed(spec, tmp_path / "run", HEADS[name])
        head = read(adapter)
        assert data.task is not None
        kind = choose_kind(data.task, None if head is None else head.facts)
        return Setting(
            spec=spec,
            data=data,
            task=data.task,
            items=kind.items(data.test, data.task, OPTIONS.max_items),
            train=kind.items(data.train, data.task, 0) if kind.fits_cheap_models else [],
            options=OPTIONS,
            watch=ignore,
            adapter=adapter,
            head=head,
        )


# What is no plugin of its kind.


def test_a_plugin_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(PluginError, match="needs names 'probs'; it may name probabilities and logprobs"):
        Figure(title="f", value=lambda answered: 0.0, answers=("label",), needs=("probs",))
    with pytest.raises(PluginError, match="a figure that needs probabilities cannot be the score"):
        Figure(title="f", value=lambda answered: 0.0, answers=("label",), needs=("probabilities",), is_score=True)
    with pytest.raises(PluginError, match="fit is None, not a function"):
        CheapModel(None)  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="prompts is 'p', not a function"):
        Prompt("p")  # type: ignore[arg-type]
    with pytest.raises(PluginError, match="binary is 1, not bool"):
        Metric(title="m", items=METRICS.load("accuracy").items, binary=1)  # type: ignore[arg-type]
    kind = KINDS.load("classification")
    with pytest.raises(PluginError, match="a kind has either a default_metric or its own_score"):
        replace(kind, own_score="R²")
    with pytest.raises(PluginError, match="a kind has both cheap and probe, or neither"):
        replace(kind, probe=None)


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        (lambda items: lambda a, r: items(a, r)[:-1], "test_every_answer_has_a_value_from_nothing_to_one"),
        (lambda items: lambda a, r: 2 * items(a, r), "test_every_answer_has_a_value_from_nothing_to_one"),
        (lambda items: lambda a, r: items(a, r) * len(a) / 8, "test_an_answers_value_does_not_depend_on_the_others"),
        (lambda items: lambda a, r: 1 - items(a, r), "test_a_further_reference_never_lowers_the_value"),
    ],
)
def test_the_suite_sees_a_metric_that_is_wrong(change: Any, failing: str) -> None:
    suite = MetricSuite()
    good = METRICS.load("chrf")
    rows = [suite.right, suite.wrong, *suite.between]
    getattr(suite, failing)(good, rows)
    with pytest.raises(AssertionError):
        getattr(suite, failing)(replace(good, items=change(good.items)), rows)


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        ({"value": lambda answered: float("nan")}, "test_it_is_a_finite_number"),
        ({"value": lambda answered: float(answered.values[0])}, "test_the_order_of_the_answers_says_nothing"),
        ({"value": lambda answered: 0.5}, "test_a_score_is_one_where_all_is_right_and_nothing_where_all_is_wrong"),
        ({"statistic": lambda answered: len}, "test_the_figure_of_drawn_items_is_that_of_their_set"),
    ],
)
def test_the_suite_sees_a_figure_that_is_wrong(changes: dict[str, Any], failing: str) -> None:
    suite = FigureSuite()
    good = FIGURES.load("macro_f1")
    answers, expected = ["money"] * 3 + ["music"] * 4 + ["?"], ["money"] * 5 + ["music"] * 3
    answered = suite.answered_set(answers, expected)
    getattr(suite, failing)(good, answered)
    with pytest.raises(AssertionError):
        getattr(suite, failing)(replace(good, **changes), answered)
