"""Describes what a recipe may say: where values come from, what fields mean, and the JSON Schema of both."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, Union

from dizuo.recipe.binding import field_hints
from dizuo.recipe.values import NAME, Block
from dizuo.records import Json
from dizuo.redaction import Secret

__all__ = ["describe", "origins", "schema"]


def origins(options: type[Any], section: Block) -> dict[str, str]:
    """Return where each field's value comes from: `recipe`, `command line`, `call` or `default`."""
    return {name: section.values[name].origin if name in section.values else "default" for name in field_hints(options)}


def describe(options: type[Any]) -> dict[str, str]:
    """Return the attribute docstring of every field, those of the classes it inherits from included."""
    out: dict[str, str] = {}
    for kind in reversed(options.__mro__):
        if dataclasses.is_dataclass(kind):
            out |= _describe_class(kind)
    return out


def _describe_class(options: type[Any]) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(options)))
    except (OSError, TypeError):
        return {}
    out: dict[str, str] = {}
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    for statement, after in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str() as text)):
                    out[statement.target.id] = " ".join(text.split())
    return out


def schema(tables: Mapping[str, Sequence[type[Any]]]) -> dict[str, Json]:
    """Return the JSON Schema (2020-12) of recipes whose sections bind these dataclasses."""
    properties: dict[str, Json] = {
        "name": {"type": "string", "pattern": f"^{NAME.pattern}$", "description": "Names the run's folder."},
        "seed": {"type": "integer", "minimum": 0, "default": 0, "description": "All randomness hangs off it."},
    }
    for section, kinds in tables.items():
        properties[section] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {name: item for kind in kinds for name, item in _fields_schema(kind).items()},
        }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dizuo recipe",
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": properties,
    }


def _fields_schema(kind: type[Any]) -> dict[str, Json]:
    texts, hints = describe(kind), field_hints(kind)
    out: dict[str, Json] = {}
    for item in dataclasses.fields(kind):
        if not item.init:
            continue
        entry = _type_schema(hints[item.name])
        if item.name in texts:
            entry["description"] = texts[item.name]
        if item.default is not MISSING and _jsonable(item.default):
            entry["default"] = list(item.default) if isinstance(item.default, tuple) else item.default
        out[item.name] = entry
    return out


def _type_schema(hint: Any) -> dict[str, Json]:
    if hint is Secret:
        return {"type": "string", "writeOnly": True}
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    simple = {str: "string", Path: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
    if hint in simple:
        return {"type": simple[hint]}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type_schema(member) for member in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (tuple, list, Sequence):
        if origin is tuple and arguments[-1:] != (Ellipsis,):
            return {"type": "array", "prefixItems": [_type_schema(item) for item in arguments]}
        return {"type": "array", "items": _type_schema(arguments[0])}
    if origin in (dict, Mapping):
        return {"type": "object", "additionalProperties": _type_schema(arguments[1])}
    if dataclasses.is_dataclass(hint):
        fields_ = _fields_schema(typing.cast(type, hint))
        return {"type": "object", "additionalProperties": False, "properties": fields_}
    return {}


def _jsonable(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True
