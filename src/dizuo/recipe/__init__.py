"""A YAML file goes in; a recipe comes out: a name, a seed and at most five sections named after the steps.

    reading.py       the file, and what `--set` changes of it
    values.py        Recipe, Block and Value: what a recipe is made of
    binding.py       a section's values bound to the dataclass that declares them
    describing.py    where values come from, and the JSON Schema

This package knows sections and line numbers, not options. A section is a `Block`: values, each with its place.
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
