"""Paths in a recipe mean the recipe's folder; a mistyped one leaves nothing behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dizuo import recipe as recipes
from dizuo.errors import ArtifactError, DizuoError
from dizuo.steps import pipeline
from dizuo.steps.placing import place_paths, write_recipe
from dizuo.steps.settings import bind

ROWS = "text,label\n" + "".join(
    f"the {'apple' if n % 2 else 'iron'} {n},{'fruit' if n % 2 else 'metal'}\n" for n in range(40)
)


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "project" / "data").mkdir(parents=True)
    (tmp_path / "project" / "data" / "rows.csv").write_text(ROWS)
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def write(text: str, path: str = "../project/mine.yaml") -> Path:
    Path(path).write_text("name: mine\n" + text)
    return Path(path)


def test_a_path_means_the_recipes_folder_and_one_of_the_command_line_this_one() -> None:
    path = write("select: {model: ./models/small}\nprepare: {source: data/rows.csv, test: data/test.csv}\n")
    settings = bind(recipes.read(path))
    assert settings.select.model == "../project/models/small"
    assert (settings.prepare.source, settings.prepare.test) == ("../project/data/rows.csv", "../project/data/test.csv")
    said = recipes.read(path, overrides=["prepare.source=own.csv", "prepare.test=0.2", "select.model=pypi:x"])
    prepared = bind(said).prepare
    assert (prepared.source, prepared.test, bind(said).select.model) == ("own.csv", 0.2, "pypi:x")
    several = bind(recipes.read(write("prepare: {source: [data/a.csv, /abs/b.csv, 'hf:o/n']}\n")), needs=("data",))
    assert several.prepare.source == ("../project/data/a.csv", "/abs/b.csv", "hf:o/n")
    assert bind(recipes.read(write("evaluate: {embedder: auto}\n")), needs=()).evaluate.embedder == "auto"


def test_a_path_that_is_only_here_still_means_here() -> None:
    Path("here.csv").write_text(ROWS)
    recipe = recipes.read(write("prepare: {source: here.csv}\n"))
    assert bind(recipe, needs=("data",)).prepare.source == "here.csv"
    Path("../project/here.csv").write_text(ROWS)
    assert bind(recipe, needs=("data",)).prepare.source == "../project/here.csv"


def test_placing_twice_is_placing_once_and_a_recipe_in_this_folder_stays_as_it_is() -> None:
    recipe = recipes.read(write("prepare: {source: data/rows.csv}\n"))
    assert place_paths(recipe) == place_paths(recipe)
    here = recipes.read(write("prepare: {source: ./data/rows.csv}\n", "here.yaml"))
    assert place_paths(here) == here


def test_a_recipe_that_was_written_down_means_the_same_files_from_anywhere(tmp_path: Path) -> None:
    recipe = recipes.read(write("prepare: {source: data/rows.csv}\n"), overrides=["prepare.test=own.csv"])
    Path("runs/mine").mkdir(parents=True)
    write_recipe(recipe, "runs/mine/recipe.yaml")
    os.chdir(tmp_path)
    settings = bind(recipes.read("work/runs/mine/recipe.yaml"), needs=("data",))
    assert Path(settings.prepare.source).resolve() == (tmp_path / "project/data/rows.csv").resolve()  # type: ignore[arg-type]
    assert Path(str(settings.prepare.test)).resolve() == (tmp_path / "work/own.csv").resolve()


def test_a_recipe_runs_from_any_folder_and_again_from_its_runs(tmp_path: Path) -> None:
    path = write("prepare: {source: data/rows.csv, test: 8}\n")
    first = pipeline.run(path, until="prepare")
    again = pipeline.run("runs/mine/recipe.yaml", until="prepare", folder=tmp_path / "again")
    assert first.data is not None
    assert again.data is not None
    assert first.data.digest == again.data.digest


@pytest.mark.parametrize("where", ["prepare.source", "prepare.train", "prepare.test", "select.model"])
def test_a_mistyped_path_leaves_no_run_behind_and_says_where_it_was_looked_for(where: str, tmp_path: Path) -> None:
    section, _, field = where.partition(".")
    own = {"select": {"model": "./model"}, "prepare": {"source": "data/rows.csv"}}
    if field == "train":
        own["prepare"] = {}
    own[section][field] = "data/rowz.csv"
    Path("../project/model").mkdir()
    path = write("".join(f"{name}: {values!r}\n" for name, values in own.items()))
    with pytest.raises(ArtifactError) as caught:
        pipeline.run(path)
    assert "rowz.csv does not exist (did you mean 'rows.csv'?)" in str(caught.value)
    assert f"looked in {tmp_path / 'project' / 'data'}" in str(caught.value).replace("/work/../", "/")
    assert not Path("runs").exists() or not list(Path("runs").iterdir())


def test_a_run_whose_first_step_fails_is_no_run() -> None:
    path = write("select: {model: ../project/data}\nprepare: {source: data/rows.csv}\n")
    with pytest.raises(DizuoError):
        pipeline.run(path)
    assert not list(Path("runs").iterdir())


def test_preparing_writes_the_page_of_the_data_card() -> None:
    outcome = pipeline.run(write("prepare: {source: data/rows.csv, test: 8}\n"), until="prepare")
    assert outcome.data is not None
    page = (outcome.data.folder / "card.html").read_text("utf-8")
    assert "Every row accounted for" in page
    assert all(label in page for label in ("fruit", "metal", "40"))
