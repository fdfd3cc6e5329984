"""`bind` turns a recipe's sections into everybody's options, before anything starts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dizuo import recipe as recipes
from dizuo.data.options import PrepareOptions
from dizuo.errors import DizuoError, PluginError
from dizuo.evaluation.options import EvaluateOptions
from dizuo.recipe import Block, Recipe
from dizuo.records import Json
from dizuo.steps.options import DeployOptions, GateOptions, LaunchOptions, SampleOptions, SelectOptions
from dizuo.steps.placing import place_paths
from dizuo.training.methods import METHODS
from dizuo.training.planning.options import TrainOptions

__all__ = ["Settings", "bind", "bind_call", "schema", "tables", "to_json"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Settings:
    """Holds every option of a recipe, and where each value came from."""

    name: str
    seed: int
    select: SelectOptions
    prepare: PrepareOptions
    train: TrainOptions
    method: Any
    """The training method's own options."""
    samples: SampleOptions
    launch: LaunchOptions
    evaluate: EvaluateOptions
    gate: GateOptions
    deploy: DeployOptions
    origins: Mapping[str, Mapping[str, str]]
    """`origins["train"]["epochs"]` is `recipe`, `command line` or `default`."""


def tables(method: str = "sft") -> dict[str, tuple[type[Any], ...]]:
    """Return the option dataclasses of every section.

    Raises:
        PlanError: there is no such training method.
    """
    return {
        "select": (SelectOptions,),
        "prepare": (PrepareOptions,),
        "train": (TrainOptions, METHODS.load(method).Options, SampleOptions, LaunchOptions),
        "evaluate": (EvaluateOptions, GateOptions),
        "deploy": (DeployOptions,),
    }


def bind(recipe: Recipe, *, needs: Sequence[str] = ("model", "data")) -> Settings:
    """Return the settings of a recipe.

    Args:
        recipe: read with `strict=False`, so that its own faults are reported with those of its sections.
        needs: `model` and `data`, where the steps that are wanted cannot run without them.

    Raises:
        RecipeError: with every wrong field of every section.
        PluginError: the method's file is no training method.
    """
    recipe = place_paths(recipe)
    faults = list(recipe.faults)
    kinds = _tables_of(recipe.section("train"), faults)
    for need in needs:
        faults.extend(_missing(recipe, need))
    pairs = [(recipe.section(name), kinds[name]) for name in recipes.SECTIONS]
    bound = dict(zip(recipes.SECTIONS, recipes.bind_all(pairs, file=recipe.file, faults=faults)))
    origins = {
        name: {field: where for kind in kinds[name] for field, where in recipes.origins(kind, section).items()}
        for name, section in ((name, recipe.section(name)) for name in recipes.SECTIONS)
    }
    train, method, samples, launch = bound["train"]
    evaluate, gate = bound["evaluate"]
    return Settings(
        name=recipe.name,
        seed=recipe.seed,
        select=bound["select"][0],
        prepare=_seeded(bound["prepare"][0], recipe.seed, origins["prepare"]),
        train=_seeded(train, recipe.seed, origins["train"]),
        method=method,
        samples=samples,
        launch=launch,
        evaluate=_seeded(evaluate, recipe.seed, origins["evaluate"]),
        gate=gate,
        deploy=bound["deploy"][0],
        origins=origins,
    )


def bind_call(function: str, values: Mapping[str, Any], kinds: Sequence[type[Any]]) -> tuple[Any, ...]:
    """Return keyword arguments of a Python call as options, checked as a recipe's fields are."""
    section = recipes.block(values, name="", place=f"{function}()")
    hint = f"options of {function}: {', '.join(field.name for kind in kinds for field in dataclasses.fields(kind))}"
    return recipes.bind_all([(section, kinds)], file=f"{function}()", hint=hint)[0]


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe."""
    return recipes.schema(tables())


def to_json(options: Any) -> dict[str, Json]:
    """Return the options, a dataclass, as plain JSON values by field."""
    return {item.name: _plain(getattr(options, item.name)) for item in dataclasses.fields(options)}


def _plain(value: Any) -> Json:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    plain: Json = str(value) if isinstance(value, Path) else value
    return plain


def _missing(recipe: Recipe, need: str) -> list[str]:
    section, fields = {"model": ("select", ("model",)), "data": ("prepare", ("source", "train"))}[need]
    block = recipe.section(section)
    if any(field in block.values for field in fields):
        return []
    where = f"{block.place}: " if block.place else ""
    return [f"{where}{section}.{fields[0]} is missing; --{need} gives one, too"]


def _tables_of(section: Block, faults: list[str]) -> dict[str, tuple[type[Any], ...]]:
    value = section.values.get("method")
    if value is None or not isinstance(value.data, str):
        return tables()
    try:
        return tables(value.data)
    except PluginError:  # the recipe is right, and the method's file is not
        raise
    except DizuoError as error:
        hint = f"; {error.hint}" if error.hint else ""
        faults.append(f"{value.place}: train.method: {error.message}{hint}")
        return tables()


def _seeded(options: T, seed: int, origins: Mapping[str, str]) -> T:
    """Return the options with the recipe's seed, unless their section sets its own."""
    if origins.get("seed") == "default":
        return dataclasses.replace(options, seed=seed)  # type: ignore[type-var]
    return options
