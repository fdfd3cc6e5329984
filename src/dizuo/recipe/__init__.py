"""The recipe: one YAML file with a name, a seed and at most five sections named after the steps.

This module knows sections and line numbers, not options. A section is a `Block`: values, each with its place.
Its owner's options, a frozen dataclass, bind it:

    recipe = recipe.read("tickets.yaml")
    options = recipe.bind(TrainOptions, recipe.sections["train"])

Binding is directed by the declared types, so that YAML's guesses do no harm: `labels: [yes, no]` stays two
texts where texts are declared, and `1e-4` is a number where a number is declared. All wrong fields are
reported together. Reading never runs anything a recipe names: tags, anchors and aliases are refused.
"""

from __future__ import annotations

from dizuo.recipe.binding import bind, bind_all
from dizuo.recipe.describing import describe, origins, schema
from dizuo.recipe.reading import from_yaml, override, read, write
from dizuo.recipe.values import NAME, SECTIONS, Block, Recipe, Value, block, plain

__all__ = [
    "NAME",
    "SECTIONS",
    "Block",
    "Recipe",
    "Value",
    "bind",
    "bind_all",
    "block",
    "describe",
    "from_yaml",
    "origins",
    "override",
    "plain",
    "read",
    "schema",
    "write",
]
