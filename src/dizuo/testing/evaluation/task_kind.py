"""What every kind of task does."""

from __future__ import annotations

import numpy as np
import pytest

from dizuo.errors import EvaluationError
from dizuo.evaluation.answering import models
from dizuo.evaluation.choosing import choose_kind, choose_score, usable_metrics
from dizuo.evaluation.figures import FIGURES
from dizuo.evaluation.kinds import KINDS, TaskKind
from dizuo.evaluation.metrics import METRICS
from dizuo.evaluation.setting import Setting

__all__ = ["TaskKindSuite"]


class TaskKindSuite:
    """What every kind of task does. The test class has a fixture `setting`: a few items, and the models' folders."""

    name: str

    @pytest.fixture
    def kind(self) -> TaskKind:
        """Return the kind, found by its name."""
        return KINDS.load(self.name)

    def test_it_alone_evaluates_its_task(self, kind: TaskKind, setting: Setting) -> None:
        facts = None if setting.head is None else setting.head.facts
        assert choose_kind(setting.task, facts).name == kind.name == self.name
        assert kind.title

    def test_it_has_a_score_and_refuses_others(self, kind: TaskKind, setting: Setting) -> None:
        usable = usable_metrics(kind)
        score = choose_score(kind, setting.items)
        assert score.title
        assert score.name in usable or score.title == kind.own_score
        for name in (*METRICS.names(), *FIGURES.names()):
            if name in usable:
                assert choose_score(kind, setting.items, asked=name).name == name
            else:
                with pytest.raises(EvaluationError, match="cannot be used"):
                    choose_score(kind, setting.items, asked=name)

    def test_its_items_are_those_of_the_rows_in_order(self, kind: TaskKind, setting: Setting) -> None:
        rows = setting.data.test
        every, fewer = kind.items(rows, setting.task, 0), kind.items(rows, setting.task, 2)
        assert len(every) == len(rows)
        assert fewer == every[:2]
        assert all(item.references for item in every)

    def test_its_entries_have_a_value_for_each_answer(self, kind: TaskKind, setting: Setting) -> None:
        absent: dict[str, str] = {}
        entries = kind.entries(setting, choose_score(kind, setting.items), absent)
        assert len({entry.name for entry in entries}) == len(entries)
        assert [entry.name for entry in entries if entry.name in ("untuned", "tuned")] == (
            ["untuned", "tuned"] if setting.tuned else ["untuned"]
        )
        assert {entry.family for entry in entries} <= {"cheap", "untuned", "tuned"}
        for entry in entries:
            assert entry.title
            assert entry.title not in absent
            assert 0 < len(entry.values) == len(entry.answers.texts) <= len(setting.items)
            assert np.isfinite(entry.values).all()
            assert (entry.values <= 1).all()
            assert kind.own_score or (entry.values >= 0).all()
        assert all(absent.values())

    def test_its_cheap_rows_and_its_probe_are_rows_of_the_report(self, kind: TaskKind, setting: Setting) -> None:
        if kind.cheap is None or kind.probe is None:
            return
        score = choose_score(kind, setting.items)
        entries = {entry.name: entry for entry in kind.entries(setting, score, {})}
        for entry in kind.cheap(setting, score, {}):
            assert entry.values.tolist() == entries[entry.name].values.tolist()
        with models.open_runner(setting, tuned=False) as (runner, tokenizer):
            probed = kind.probe(setting, score, runner, tokenizer)
        assert probed.values.tolist() == entries["untuned"].values.tolist()

    def test_its_samples_show_the_first_items(self, kind: TaskKind, setting: Setting) -> None:
        if kind.samples is None:
            return
        entries = kind.entries(setting, choose_score(kind, setting.items), {})
        samples = kind.samples(setting, entries)
        assert len(samples) <= setting.options.samples
        for sample in samples:
            assert set(sample.answers) == set(sample.right) <= {"untuned", "tuned"}
