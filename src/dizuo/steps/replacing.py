"""`replace_data` puts other data into a recipe: what described the recipe's own data goes with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dizuo import recipe as recipes
from dizuo.recipe import Block, Recipe
from dizuo.steps.prepare import name_of

__all__ = ["replace_data"]

KEPT = ("duplicates", "conflicts", "references", "quarantine", "seed")
"""Fields of `prepare` that say how data is handled, whatever it is; all others describe one data set."""
DROPPED = {"evaluate": ("metric", "max_tokens", "require.min_score"), "deploy": ("name",)}
"""Fields of other sections that were chosen for one data set."""


def replace_data(recipe: Recipe, data: Sequence[str], *, rename: bool) -> Recipe:
    """Return the recipe on other data.

    Its instruction, columns, numbers of rows, metric, lowest score and release name are left out, and a note says so;
    what the command line sets stays.

    Args:
        recipe: as it was read.
        data: files or addresses.
        rename: name the run after the data, so that nothing of the recipe's own run is replaced.
    """
    left: list[str] = []
    sections = dict(recipe.sections)
    for name in ("prepare", *DROPPED):
        block = recipe.section(name)
        paths = [key for key in block.values if key not in KEPT] if name == "prepare" else DROPPED[name]
        for path in paths:
            block = _without(block, path, left)
        if name in sections:
            sections[name] = block
    left = [path for path in left if path not in ("prepare.source", "prepare.train", "prepare.name")]
    note = f"left out, since they are about the recipe's own data: {', '.join(left)}"
    recipe = replace(recipe, sections=sections, notes=(*recipe.notes, note) if left else recipe.notes)
    recipe = recipes.override(recipe, "prepare.source", list(data) if len(data) > 1 else data[0], place="--data")
    return replace(recipe, name=name_of(data[0])) if rename else recipe


def _without(block: Block, path: str, left: list[str]) -> Block:
    """Return the block without a field, as `name` or `require.min_score`, that the command line did not set."""
    key, _, inner = path.partition(".")
    value = block.values.get(key)
    if value is None:
        return block
    values = dict(block.values)
    if not inner:
        if value.origin == "command line":
            return block
        del values[key]
    elif isinstance(value.data, dict) and inner in value.data and value.data[inner].origin != "command line":
        values[key] = replace(value, data={name: item for name, item in value.data.items() if name != inner})
    else:
        return block
    left.append(f"{block.name}.{path}")
    return replace(block, values=values)
