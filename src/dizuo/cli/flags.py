"""The few flags that verbs share, and the recipe that they make together with a recipe file.

    @click.command(name="run")
    @click.argument("recipe", metavar="RECIPE")
    @recipe_flags(MODEL, DATA, SET, FORCE, JSON)
    def command(given: RecipeFlags) -> None:
        recipe = given.read()

A verb without a recipe takes its flags one by one, with `flags(SET, JSON)`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dizuo.recipe import Recipe

__all__ = [
    "DATA",
    "FORCE",
    "JSON",
    "MODEL",
    "QUARANTINE",
    "RANKS",
    "ROWS",
    "RUNS",
    "SET",
    "YES",
    "RecipeFlags",
    "flags",
    "options_from",
    "read_recipe",
    "recipe_flags",
    "runs_root",
]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")
T = TypeVar("T")
RUNS = Path("runs")

MODEL = click.option("--model", metavar="ADDRESS", help="Model to use instead of the recipe's.")
DATA = click.option("--data", metavar="ADDRESS", multiple=True, help="Data to use instead of the recipe's.")
SET = click.option(
    "--set", "overrides", metavar="SECTION.FIELD=VALUE", multiple=True, help="Set one field; may be repeated."
)
ROWS = click.option("--rows", metavar="N|all", help="Training rows to use: a number, or all.")
RANKS = click.option("--ranks", type=int, metavar="N", help="Train with N processes on this machine, one per GPU.")
QUARANTINE = click.option("--quarantine", metavar="FILE", help="Leave bad rows out and list them in FILE (JSONL).")
FORCE = click.option("--force", is_flag=True, help="Run although nothing changed.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON: the result to stdout, events to stderr.")

YES = click.option("--yes", is_flag=True, help="Do not ask.")


def flags(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Put several options on a command, in this order."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


@dataclass(frozen=True, slots=True)
class RecipeFlags:
    """What a verb was given about its recipe; a flag that the verb does not have keeps its default."""

    recipe: str | None = None
    """Path of the recipe file; None where the flags make a recipe of their own."""
    model: str | None = None
    data: tuple[str, ...] = ()
    rows: str | None = None
    quarantine: str | None = None
    ranks: int | None = None
    overrides: tuple[str, ...] = ()
    """What `--set` says, as `section.field=value`."""
    force: bool = False
    as_json: bool = False

    def read(self) -> Recipe:
        """Return the recipe file with the flags' values over it."""
        return read_recipe(
            self.recipe,
            model=self.model,
            data=self.data,
            overrides=self.overrides,
            rows=self.rows,
            quarantine=self.quarantine,
            ranks=self.ranks,
        )

    def forced(self, *steps: str) -> tuple[str, ...]:
        """Return the steps that run although nothing changed: these with `--force`, else none."""
        return steps if self.force else ()


_RECIPE_FLAGS = tuple(item.name for item in dataclasses.fields(RecipeFlags))


def recipe_flags(
    *options: Callable[[Callable[..., R]], Callable[..., R]],
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Put several options on a command, in this order, and call it with a `RecipeFlags` of what was given.

    Options and arguments that are no field of it are passed by their own names.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(function)
        def collect(**values: Any) -> R:
            given = RecipeFlags(**{name: values.pop(name) for name in _RECIPE_FLAGS if name in values})
            return function(given, **values)

        return flags(*options)(collect)

    return decorate


def read_recipe(
    path: str | None,
    *,
    model: str | None = None,
    data: Sequence[str] = (),
    overrides: Sequence[str] = (),
    rows: str | None = None,
    quarantine: str | None = None,
    ranks: int | None = None,
) -> Recipe:
    """Return a recipe file with the command line's values over it; without a file they make a recipe of their own."""
    from dizuo import recipe as recipes

    if path is None:
        from dizuo.steps.prepare import name_of

        named = any(item.startswith("name=") for item in overrides)
        name = name_of(data[0]) if data and not named else "run"
        recipe = recipes.from_yaml(f"name: {name}", file="the command line", overrides=overrides, strict=False)
    else:
        recipe = recipes.read(path, overrides=overrides, strict=False)
    if model is not None:
        recipe = recipes.override(recipe, "select.model", model, place="--model")
    if data:
        from dizuo.steps.replacing import replace_data

        renamed = path is not None and not any(item.startswith("name=") for item in overrides)
        recipe = replace_data(recipe, data, rename=renamed)
    if rows is not None:
        recipe = _with_rows(recipe, rows)
    if quarantine is not None:
        recipe = recipes.override(recipe, "prepare.quarantine", quarantine, place="--quarantine")
    if ranks is not None:
        recipe = recipes.override(recipe, "train.ranks", ranks, place="--ranks")
    return recipe


def _with_rows(recipe: Recipe, rows: str) -> Recipe:
    from dizuo import recipe as recipes

    if rows == "all":
        return recipes.override(recipe, "prepare.rows", "all", place="--rows")
    if not rows.isdecimal() or int(rows) < 1:
        return replace(recipe, faults=(*recipe.faults, f"--rows: expected a number of rows or all, got {rows!r}"))
    return recipes.override(recipe, "prepare.rows", int(rows), place="--rows")


def options_from(kind: type[T], given: Mapping[str, Any], overrides: Sequence[str]) -> T:
    """Return options made of named flags and of `--set field=value`, checked as a recipe's section is."""
    from dizuo import recipe as recipes
    from dizuo.errors import RecipeError

    faults = [f"--set {item}: expected field=value" for item in overrides if not item.partition("=")[1]]
    texts = [f"train.{item}" for item in overrides if "=" in item]  # any section's name would do
    try:
        values = dict(recipes.from_yaml("name: x", overrides=texts).section("train").values)
    except RecipeError as error:
        faults.extend(text.replace("--set train.", "--set ") for text in error.details)
        values = {}
    for key, value in given.items():
        values |= recipes.block({key: value}, place=f"--{key}").values
    section = recipes.Block("", values, "the command line", "")
    hint = f"fields that --set takes: {', '.join(item.name for item in dataclasses.fields(kind))}"  # type: ignore[arg-type]
    bound: T = recipes.bind_all([(section, (kind,))], file="the command line", faults=faults, hint=hint)[0][0]
    return bound


def runs_root() -> Path:
    """Return the folder that runs are written into."""
    return RUNS
