"""Binds a block's values to the dataclass that declares them, and reports every wrong field together."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from dizuo.errors import DizuoError, did_you_mean
from dizuo.recipe.values import HINT, Block, Value, plain, raise_faults, shown
from dizuo.redaction import has_login, hide_logins

__all__ = ["bind", "bind_all", "field_hints"]

T = TypeVar("T")
NO_LOGINS = "a recipe is kept beside its run, so fetch the files yourself and give their path"


def bind(options: type[T], section: Block) -> T:
    """Return the options that a block sets; fields it leaves out have their defaults.

    Args:
        options: a dataclass whose fields are declared as str, int, float, bool, Path, Literal, tuple, dict,
            another such dataclass, or unions of these.
        section: the values.

    Raises:
        RecipeError: with every wrong field, its place and what was expected.
    """
    return typing.cast(T, bind_all([(section, (options,))], file=section.file)[0][0])


def bind_all(
    pairs: Iterable[tuple[Block, Sequence[type[Any]]]], *, file: str, faults: Sequence[str] = (), hint: str = HINT
) -> list[tuple[Any, ...]]:
    """Bind many blocks, and report the wrong fields of all of them together.

    Args:
        pairs: each block with the dataclasses that share its fields.
        file: what to call the recipe in the error.
        faults: wrong things found before, reported in the same error.
        hint: the next action that the error suggests.

    Returns:
        for each block the bound options, in the order of its dataclasses.
    """
    every = list(faults)
    bound = [_bind_block(section, kinds, every) for section, kinds in pairs]
    if every:
        raise_faults(file, every, hint=hint)
    return bound


def _bind_block(section: Block, kinds: Sequence[type[Any]], faults: list[str]) -> tuple[Any, ...]:
    hints = {kind: field_hints(kind) for kind in kinds}
    known = [name for kind in kinds for name in hints[kind]]
    prefix = f"{section.name}." if section.name else ""
    for key, value in section.values.items():
        if key not in known:
            faults.append(f"{value.place}: {prefix}{key} is not known{did_you_mean(key, known)}")
        if _has_login(value):
            faults.append(f"{value.place}: {prefix}{key}: there is a user and a password in it; {NO_LOGINS}")
    return tuple(_construct(kind, hints[kind], section.values, prefix, section.place, faults) for kind in kinds)


def _has_login(value: Value) -> bool:
    """Return whether an address with a login stands in a value; the login is remembered as a secret."""
    if isinstance(value.data, dict):
        return sum(_has_login(item) for item in value.data.values()) > 0  # each is remembered
    if isinstance(value.data, tuple):
        return sum(_has_login(item) for item in value.data) > 0
    if not isinstance(value.data, str) or not has_login(value.data):
        return False
    hide_logins(value.data)
    return True


def _construct(
    kind: type[Any], hints: Mapping[str, Any], values: Mapping[str, Value], prefix: str, place: str, faults: list[str]
) -> Any:
    before = len(faults)
    arguments: dict[str, Any] = {}
    for name, hint in hints.items():
        if name in values:
            arguments[name] = _convert(values[name], hint, f"{prefix}{name}", faults)
    for item in dataclasses.fields(kind):
        if item.init and item.default is MISSING and item.default_factory is MISSING and item.name not in values:
            faults.append(f"{place or 'line 1'}: {prefix}{item.name} is missing")
    if len(faults) > before:
        return None
    try:
        return kind(**arguments)
    except (DizuoError, ValueError) as error:
        texts = (error.details or (error.message,)) if isinstance(error, DizuoError) else (str(error),)
        faults.extend(_located(text, values, prefix, place) for text in texts)
        return None


def _located(message: str, values: Mapping[str, Value], prefix: str, place: str) -> str:
    """Return a dataclass's own complaint with the line of the first field that it names."""
    named = {word: values[word] for word in re.findall(r"\w+", message) if word in values}
    if not named:
        return f"{place or 'line 1'}: {prefix.rstrip('.')}: {message}"
    first, value = next(iter(named.items()))
    if message.startswith(prefix):
        return f"{value.place}: {message}"
    if message.startswith(first):
        return f"{value.place}: {prefix}{message}"
    return f"{value.place}: {prefix}{first}: {message}"


def _convert(value: Value, hint: Any, name: str, faults: list[str]) -> Any:
    out = _try(value, hint, name, faults)
    if out is not _WRONG:
        return out
    near = ""
    if typing.get_origin(hint) is Literal and isinstance(value.data, str):
        near = did_you_mean(value.data, [str(choice) for choice in typing.get_args(hint)])
    faults.append(f"{value.place}: {name}: expected {_expected(hint)}, got {shown(value)}{near}")
    return None


_WRONG = object()


def _try(value: Value, hint: Any, name: str, faults: list[str]) -> Any:
    """Return the value as the declared type, or `_WRONG`; faults inside the value go to `faults`."""
    data, origin, arguments = value.data, typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return plain(value)
    if origin in (Union, types.UnionType):
        return _try_union(value, arguments, name, faults)
    if hint is None or hint is type(None):
        return None if data is None else _WRONG
    if origin is Literal:
        texts = (data, value.text)
        return next((choice for choice in arguments if any(_same(choice, text) for text in texts)), _WRONG)
    if hint in (str, Path):
        if data is None or isinstance(data, dict | tuple):
            return _WRONG
        if not isinstance(data, str) and value.text is None:
            return _WRONG
        text = value.text if value.text is not None else str(data)
        return Path(text) if hint is Path else text
    if hint is bool:
        return data if isinstance(data, bool) else _WRONG
    if hint is int:
        return data if isinstance(data, int) and not isinstance(data, bool) else _WRONG
    if hint is float:
        return _try_float(value)
    if origin in (tuple, list, Sequence) and isinstance(data, tuple):
        return _try_sequence(data, origin, arguments, name, faults)
    if origin in (dict, Mapping) and isinstance(data, dict):
        return {key: _convert(item, arguments[1], f"{name}.{key}", faults) for key, item in data.items()}
    if dataclasses.is_dataclass(hint) and isinstance(data, dict):
        inner = Block(name, data, place=value.place)
        return _bind_block(inner, (typing.cast(type, hint),), faults)[0]
    return _WRONG


def _try_union(value: Value, members: Sequence[Any], name: str, faults: list[str]) -> Any:
    order = {int: 0, float: 2, str: 3, Path: 3}  # a float takes whole numbers and text takes anything
    for member in sorted(members, key=lambda member: order.get(member, 1)):
        inside: list[str] = []
        out = _try(value, member, name, inside)
        if out is not _WRONG:
            faults.extend(inside)
            return out
    return _WRONG


def _try_float(value: Value) -> Any:
    data = value.data
    if isinstance(data, str) and value.text is not None:  # YAML 1.1 reads 1e-4 as text
        try:
            data = float(data)
        except ValueError:
            return _WRONG
    if isinstance(data, bool) or not isinstance(data, int | float) or not math.isfinite(data):
        return _WRONG
    return float(data)


def _try_sequence(
    items: tuple[Value, ...], origin: Any, arguments: tuple[Any, ...], name: str, faults: list[str]
) -> Any:
    if origin is tuple and arguments[-1:] != (Ellipsis,):
        if len(items) != len(arguments):
            return _WRONG
        return tuple(_convert(item, hint, name, faults) for item, hint in zip(items, arguments))
    out = [_convert(item, arguments[0], name, faults) for item in items]
    return out if origin is list else tuple(out)


def _same(choice: Any, data: Any) -> bool:
    return type(choice) is type(data) and bool(choice == data)


def field_hints(kind: type[Any]) -> dict[str, Any]:
    """Return the declared type of every field that a recipe may set."""
    hints = typing.get_type_hints(kind)
    return {item.name: hints[item.name] for item in dataclasses.fields(kind) if item.init}


def _expected(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    simple = {
        str: "text",
        Path: "a path",
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        type(None): "nothing",
    }
    if hint in simple:
        return simple[hint]
    if origin in (Union, types.UnionType):
        return " or ".join(_expected(member) for member in arguments if member is not type(None))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(str(choice) for choice in arguments)
    if origin in (tuple, list, Sequence):
        if origin is tuple and arguments[-1:] != (Ellipsis,):
            return f"a list of {len(arguments)}"
        inner = {"text": "texts", "a whole number": "whole numbers", "a number": "numbers"}
        item = _expected(arguments[0])
        return f"a list of {inner.get(item, item)}"
    return "a mapping of fields"
