"""A search tries the recipe's own values first, gives up what stands badly, goes on where it stopped, reads no test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dizuo import recipe as recipes
from dizuo.data import Split
from dizuo.errors import MissingPackage, PlanError, TrainingError
from dizuo.events import Metric, Note
from dizuo.steps.search import _space, search
from dizuo.steps.settings import bind
from dizuo.training import Run
from dizuo.training.methods import METHODS

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

CHANGES = (
    "train.adapter=lora", "train.rank=4", "train.epochs=2", "train.learning_rate=0.002", "train.batch_size=16",
    "train.threads=1", "prepare.validation=20", "prepare.test=20",
)  # fmt: skip


class Killed(Exception):
    pass


def recipe(*changes: str):
    return recipes.read("tiny.yaml", overrides=[*CHANGES, *changes], strict=False)


def timeless(found):
    return [(t.number, t.learning_rate, t.rank, t.epochs, t.state, t.score) for t in found.trials]


def test_the_recipes_own_values_come_first_and_the_best_become_a_recipe(place):
    told = []
    found = search(recipe(), trials=4, watch=told.append)
    assert [trial.number for trial in found.trials] == [0, 1, 2, 3]
    first = found.trials[0]
    assert (first.learning_rate, first.rank, first.epochs, first.state) == (0.002, 4, 2.0, "complete")
    for trial in found.trials:
        assert 0.0004 <= trial.learning_rate <= 0.01
        assert trial.rank in (4, 8, 16, 32, 64)
        assert trial.epochs in (1, 2, 3, 4)
    assert len({trial.learning_rate for trial in found.trials}) == 4
    assert found.best.score == max(trial.score for trial in found.trials if trial.state == "complete")
    # A trial's score is that of its run, and the best run's values bind as a recipe.
    run = Run.open(found.folder / f"trial-{found.best.number:03d}")
    assert run.finished["best_score"] == found.best.score
    assert (run.plan.use.learning_rate, run.plan.use.rank) == (found.best.learning_rate, found.best.rank)
    assert run.plan.use.alpha == 2 * run.plan.use.rank
    written = bind(recipes.read(found.recipe, strict=False))
    assert (written.train.learning_rate, written.train.rank) == (found.best.learning_rate, found.best.rank)
    assert written.train.epochs == found.best.epochs
    assert written.train.batch_size == 16
    table = json.loads((found.folder / "search.json").read_text("utf-8"))
    assert table["best"] == found.best.number
    assert [row["score"] for row in table["trials"]] == [trial.score for trial in found.trials]
    assert not list(found.folder.glob("trial-*/checkpoints"))
    assert any(isinstance(event, Note) and event.text.startswith("trial 0: learning rate 0.002") for event in told)


def test_a_search_that_is_stopped_goes_on_to_the_same_trials(place, monkeypatch):
    whole = search(recipe(), trials=3, folder="whole")
    steps = [0]

    def stop_at(count):
        def watch(event):
            if isinstance(event, Metric) and "grad_norm" in event.values:
                steps[0] += 1
                if steps[0] == count:
                    raise Killed

        return watch

    for count in (4, 9):
        with pytest.raises(Killed):
            search(recipe(), trials=3, folder="broken", watch=stop_at(count))
    told = []
    broken = search(recipe(), trials=3, folder="broken", watch=told.append)
    assert timeless(broken) == timeless(whole)
    # Asking for more adds to what is there; asking again trains nothing.
    more = search(recipe(), trials=4, folder="broken")
    assert timeless(more)[:3] == timeless(whole)
    told.clear()
    assert timeless(search(recipe(), trials=4, folder="broken", watch=told.append)) == timeless(more)
    assert not any(isinstance(event, Metric) for event in told)


def test_another_setting_is_another_search(place):
    first = search(recipe(), trials=1)
    second = search(recipe("train.batch_size=8"), trials=1)
    assert second.trials[0].score != first.trials[0].score
    assert Run.open(second.folder / "trial-000").plan.use.batch_size == 8


def test_trials_that_stand_badly_are_given_up(place):
    # From a rate that learns nothing to one that does: those below the median of the first three end early.
    found = search(recipe("seed=1"), trials=8)
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial.number >= 3
        assert trial.score is not None
        assert not Run.open(found.folder / f"trial-{trial.number:03d}").finished
    assert found.best.state == "complete"


def test_no_trial_reads_the_test_rows(place, monkeypatch):
    search(recipe(), trials=1, folder="before")  # preparing writes the test split

    def guarded(read):
        def inner(self, *arguments):
            assert self.name != "test", "a test row was read"
            return read(self, *arguments)

        return inner

    monkeypatch.setattr(Split, "__getitem__", guarded(Split.__getitem__))
    monkeypatch.setattr(Split, "read_from", guarded(Split.read_from))
    assert len(search(recipe(), trials=2, folder="before").trials) == 2


@pytest.mark.parametrize("method", [name for name in METHODS.names() if name != "kto"])
def test_a_search_begins_at_what_the_plan_of_the_method_says(place, tmp_path, method):
    from dizuo import models, training
    from dizuo.data import open as open_data
    from dizuo.steps import pipeline

    rows = {
        "chat": [{"question": f"q {i}", "answer": f"a {i}"} for i in range(40)],
        "preference": [{"prompt": f"q {i}", "chosen": "good", "rejected": "bad"} for i in range(40)],
        "text": [{"text": f"a story about the number {i}"} for i in range(40)],
        "labelled": [{"text": f"a text {i}", "label": str(i % 3)} for i in range(40)],
    }  # fmt: skip
    kind = next(kind for kind in METHODS.load(method).kinds if kind in rows)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[kind]), "utf-8")
    wanted = [
        *(change for change in CHANGES if not change.startswith(("train.rank", "train.epochs", "train.learning_rate"))),
        "prepare.source=rows.jsonl", "prepare.validation=8", "prepare.test=8", f"train.method={method}",
    ]  # fmt: skip
    left_out = (
        ("learning_rate", "epochs", "rank") if kind == "labelled" else ("learning_rate", "epochs", "rank", "instr")
    )
    lines = Path("tiny.yaml").read_text("utf-8").splitlines()
    Path("tiny.yaml").write_text("\n".join(line for line in lines if not line.strip().startswith(left_out)), "utf-8")
    read = recipes.read("tiny.yaml", overrides=wanted, strict=False)
    settings = bind(read)
    prepared = pipeline.run(read, until="prepare")
    spec = models.inspect("model")
    planned = training.plan(
        spec, open_data(prepared.data.folder), out=tmp_path / "plan", options=settings.train,
        method_options=settings.method, measure=False,
    ).use  # fmt: skip
    space = _space(spec, prepared.data, settings, tmp_path)
    assert space["first"] == {
        "learning_rate": planned.learning_rate, "epochs": round(planned.epochs), "rank": planned.rank,
    }  # fmt: skip
    low, high = space["learning_rate"]
    assert low < planned.learning_rate < high
    assert planned.rank in space["rank"]
    rates = METHODS.load(method).rates
    if rates is not None:
        assert planned.learning_rate == rates.peak(adapter="lora", parameters=spec.parameters)
    assert not list(tmp_path.glob("plan-*"))


def test_full_training_searches_no_rank(place):
    found = search(recipe("train.adapter=full"), trials=2)
    assert [trial.rank for trial in found.trials] == [None, None]
    assert bind(recipes.read(found.recipe, strict=False)).train.adapter == "full"


def test_a_search_needs_validation_rows(place):
    with pytest.raises(PlanError) as caught:
        search(recipe("prepare.validation=0"), trials=2)
    assert str(caught.value) == (
        "a search compares runs on validation rows, and there are none\n\n"
        "hint: cut some from the training rows: --set prepare.validation=0.1"
    )
    with pytest.raises(PlanError, match="at least 1 trial, not 0"):
        search(recipe(), trials=0)


def test_a_search_of_nothing_but_failures_says_so(place):
    with pytest.raises(TrainingError, match="none of 2 trials came to its end"):
        search(recipe("train.learning_rate=1e36", "train.max_grad_norm=0", "train.adapter=full"), trials=2)
    assert Path("runs/tiny/search/study.db").exists()


def test_without_optuna_it_says_what_to_install(place, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(MissingPackage) as caught:
        search(recipe(), trials=2)
    assert str(caught.value).endswith('hint: pip install "dizuo[search]"')
