"""Other data in a recipe: nothing that described the recipe's own data is used for it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from dizuo import recipe as recipes
from dizuo.data.options import PrepareOptions
from dizuo.recipe import plain
from dizuo.steps.replacing import KEPT, replace_data
from dizuo.steps.settings import bind

VALUES = {"str": "x", "bool": True, "Mapping[str, str]": {"a": "b"}, "int": 7, "float": 0.5, "tuple[str, ...]": ["a"]}


@pytest.mark.parametrize("field", [item.name for item in dataclasses.fields(PrepareOptions) if item.name != "source"])
def test_a_field_of_prepare_is_left_out_unless_it_says_how_any_data_is_handled(field: str) -> None:
    kind = next(str(item.type) for item in dataclasses.fields(PrepareOptions) if item.name == field)
    value = next(value for name, value in VALUES.items() if name in kind)
    recipe = recipes.from_yaml("name: own\nselect: {model: m}\nprepare: {source: own.csv}\n")
    recipe = recipes.override(recipe, f"prepare.{field}", value, place="line 3")
    own = dataclasses.replace(recipe.section("prepare").values[field], origin="recipe")
    block = recipe.section("prepare")
    block = dataclasses.replace(block, values={**block.values, field: own})
    recipe = dataclasses.replace(recipe, sections={**recipe.sections, "prepare": block})
    other = replace_data(recipe, ["other.csv"], rename=True)
    assert (field in other.section("prepare").values) == (field in KEPT)
    assert other.section("prepare").values["source"].data == "other.csv"
    quiet = field in (*KEPT, "train", "name")
    assert bool(other.notes) != quiet
    assert quiet or f"prepare.{field}" in other.notes[0]


def test_other_data_is_another_run_and_another_release_and_the_command_line_stays() -> None:
    text = """
name: news
select: {model: m}
prepare: {source: own.csv, instruction: "Name the section.", rows: 640, test: 400}
evaluate: {metric: macro_f1, require: {better_than_untuned: true, min_score: 0.9}}
deploy: {name: news, alias: prod}
"""
    other = replace_data(recipes.from_yaml(text), ["mine/tickets.csv"], rename=True)
    assert plain(other) == {
        "name": "tickets",
        "seed": 0,
        "select": {"model": "m"},
        "prepare": {"source": "mine/tickets.csv"},
        "evaluate": {"require": {"better_than_untuned": True}},
        "deploy": {"alias": "prod"},
    }
    assert bind(other).deploy.name is None  # the run's name
    for path in ("prepare.instruction", "prepare.rows", "prepare.test", "evaluate.metric", "deploy.name"):
        assert path in other.notes[0]
    said = ["prepare.test=9", "evaluate.require.min_score=0.5", "deploy.name=sales", "name=spring"]
    mine = replace_data(recipes.from_yaml(text, overrides=said), ["tickets.csv"], rename=False)
    assert (mine.name, bind(mine).deploy.name, bind(mine).prepare.test) == ("spring", "sales", 9)
    assert bind(mine).gate.require.min_score == 0.5
    assert not replace_data(recipes.from_yaml("name: a"), ["b.csv"], rename=True).notes


def test_every_shipped_recipe_takes_other_data() -> None:
    for path in sorted(Path("recipes").glob("*.yaml")):
        settings = bind(replace_data(recipes.read(path), ["tickets.csv"], rename=True))
        assert (settings.name, settings.deploy.name) == ("tickets", None), path
        assert (settings.prepare.source, settings.prepare.rows) == ("tickets.csv", "all"), path
