"""Relative paths in a recipe mean the recipe's folder, wherever it is run from; those on the command line mean here."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dizuo import recipe as recipes
from dizuo.artifacts import parse
from dizuo.errors import DizuoError
from dizuo.recipe import Recipe, Value

__all__ = ["place_paths", "write_recipe"]

PLACES = {
    "select": ("model",),
    "prepare": ("source", "train", "validation", "test", "quarantine"),
    "evaluate": ("embedder",),
}
"""Fields that name a file, a folder or an address."""


def place_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with its relative paths as they read from the working folder.

    A path that is missing beside the recipe and is here means here, as all did in recipes of before.
    """
    home = Path(recipe.file).parent
    if not recipe.file or not Path(recipe.file).is_file() or home.resolve() == Path.cwd().resolve():
        return recipe

    def place(text: str) -> str:
        beside = os.path.normpath(home / text)
        return text if os.path.exists(text) and not os.path.exists(beside) else beside

    return _map_paths(recipe, place, only="recipe")


def write_recipe(recipe: Recipe, path: str | Path) -> None:
    """Write a recipe so that it means the same where it is written: relative paths lead there from its new folder."""
    folder = Path(path).resolve().parent

    def place(text: str) -> str:
        return os.path.relpath(Path(text).absolute(), folder)

    recipes.write(_map_paths(place_paths(recipe), place), path)


def _map_paths(recipe: Recipe, place: Callable[[str], str], *, only: str = "") -> Recipe:
    sections = dict(recipe.sections)
    for name, fields in PLACES.items():
        block = sections.get(name)
        if block is None:
            continue
        values = {
            key: _map_value(value, place, only, sure=key != "embedder") if key in fields else value
            for key, value in block.values.items()
        }
        sections[name] = replace(block, values=values)
    return replace(recipe, sections=sections)


def _map_value(value: Value, place: Callable[[str], str], only: str, *, sure: bool) -> Value:
    """Return the value with its path placed; a word such as `auto` is one only where there is such a file."""
    if isinstance(value.data, tuple):
        return replace(value, data=tuple(_map_value(item, place, only, sure=sure) for item in value.data))
    if not isinstance(value.data, str) or (only and value.origin != only) or not _is_relative(value.data):
        return value
    placed = place(value.data)
    if not sure and not os.path.exists(placed):
        return value
    return replace(value, data=placed, text=None)


def _is_relative(text: str) -> bool:
    try:
        return bool(text.strip()) and parse(text).scheme == "path" and not os.path.isabs(os.path.expanduser(text))
    except DizuoError:  # the step that uses it says what is wrong
        return False
