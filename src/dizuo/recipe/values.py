"""What a recipe is made of: values with their places, and blocks of values; and how errors show them."""

from __future__ import annotations

import datetime
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from dizuo.errors import RecipeError
from dizuo.records import Json

__all__ = ["NAME", "SECTIONS", "Block", "Recipe", "Value", "block", "lift", "plain", "raise_faults", "shown"]

SECTIONS = ("select", "prepare", "train", "evaluate", "deploy")
NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

HINT = "`dizuo recipe schema` lists every section and field"

Data: TypeAlias = bool | int | float | str | datetime.date | tuple["Value", ...] | dict[str, "Value"] | None
"""What YAML can say: a scalar, a list or a mapping. A date is one that was written without quotes."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a recipe and where it stands."""

    data: Data
    place: str = ""
    """As errors show it: `line 7`, or `--set train.epochs`."""
    origin: str = "recipe"
    """`recipe`, `command line` or `call`."""
    text: str | None = None
    """An unquoted scalar as it was written; None for quoted text and everything else."""


@dataclass(frozen=True, slots=True)
class Block:
    """One section: values by field name."""

    name: str
    values: Mapping[str, Value] = field(default_factory=dict)
    file: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A recipe as it was read; what its sections mean is decided when options bind them."""

    name: str
    seed: int = 0
    sections: Mapping[str, Block] = field(default_factory=dict)
    file: str = ""
    faults: tuple[str, ...] = ()
    """What is already known to be wrong; always empty unless read with `strict=False`."""
    notes: tuple[str, ...] = ()
    """What is said before it runs, such as which of its fields were left out."""

    def section(self, name: str) -> Block:
        """Return the section's block, empty where the recipe does not have it."""
        return self.sections.get(name, Block(name, file=self.file))


def block(values: Mapping[str, object], *, name: str = "", place: str = "the call", origin: str = "call") -> Block:
    """Return plain Python values as a block, so that keyword arguments are checked as recipes are."""
    return Block(name, {key: lift(item, place, origin) for key, item in values.items()}, place, place)


def lift(data: object, place: str, origin: str) -> Value:
    """Return a plain Python value as one of a recipe; what no recipe can hold is refused when it is bound."""
    if isinstance(data, Mapping):
        return Value({str(key): lift(item, place, origin) for key, item in data.items()}, place, origin)
    if isinstance(data, list | tuple):
        return Value(tuple(lift(item, place, origin) for item in data), place, origin)
    return Value(str(data) if isinstance(data, Path) else typing.cast(Data, data), place, origin)


def plain(value: Value | Block | Recipe) -> Json:
    """Return plain Python values, without places."""
    if isinstance(value, Recipe):
        sections = {name: plain(section) for name, section in value.sections.items()}
        return {"name": value.name, "seed": value.seed, **sections}
    if isinstance(value, Block):
        return {key: plain(item) for key, item in value.values.items()}
    if isinstance(value.data, dict):
        return {key: plain(item) for key, item in value.data.items()}
    if isinstance(value.data, tuple):
        return [plain(item) for item in value.data]
    if not isinstance(value.data, str | int | float | bool | None):  # a date
        return value.text
    return value.data


def shown(value: Value) -> str:
    """Return a value as an error shows it."""
    if value.text is not None and value.data is not None:
        return repr(value.text) if isinstance(value.data, str) else value.text
    if isinstance(value.data, dict):
        return "a mapping"
    if isinstance(value.data, tuple):
        return f"a list of {len(value.data)}"
    if value.data is None:
        return "nothing"
    text = repr(value.data)
    return text if len(text) <= 60 else text[:57] + "…'"


def raise_faults(file: str, faults: Sequence[str], *, hint: str = HINT) -> typing.NoReturn:
    """Raise the one error that lists every fault of a recipe, in the order of its lines."""
    count = f"{len(faults)} wrong fields" if len(faults) > 1 else "a wrong field"
    order = sorted(faults, key=lambda text: int(text[5 : text.index(":")]) if text.startswith("line ") else 10**9)
    raise RecipeError(f"{file} has {count}", details=order, hint=hint)
