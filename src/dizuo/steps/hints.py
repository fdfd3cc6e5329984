"""Hints by where they are read: a setting is written as a recipe has it, as the shell takes it, or as Python does.

Rooms write `label_column: queue`, which is right in a recipe. Who called `dizuo prepare tickets.csv` types
`--set prepare.label_column=queue`, and who called `dizuo.prepare("tickets.csv")` writes `label_column="queue"`.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

import yaml

from dizuo.data.options import PrepareOptions
from dizuo.errors import DizuoError
from dizuo.evaluation.options import EvaluateOptions
from dizuo.steps.options import DeployOptions, LaunchOptions, SampleOptions, SelectOptions
from dizuo.training.planning.options import TrainOptions

__all__ = ["for_python", "for_shell", "hints_for_python"]

P = ParamSpec("P")
R = TypeVar("R")

OPTIONS: Mapping[str, tuple[type, ...]] = {
    "prepare": (PrepareOptions,),
    "train": (TrainOptions, SampleOptions, LaunchOptions),
    "evaluate": (EvaluateOptions,),
    "deploy": (DeployOptions,),
    "select": (SelectOptions,),
}
_FIELDS = {
    section: frozenset(item.name for kind in kinds for item in dataclasses.fields(kind))
    for section, kinds in OPTIONS.items()
}
_SETTING = re.compile(
    r"(?<![\w.\"'-])(?:(?P<section>[a-z]+)\.)?"
    rf"(?P<field>{'|'.join(sorted(frozenset().union(*_FIELDS.values()), key=len, reverse=True))}): "
    r"(?!(?:a|an|the|it|they|this)\b)(?P<value>\[[^\]]*\]|\{[^}]*\}|\"[^\"]*\"|'[^']*'|[^\s;,'\"()，；。：（）、]+)"
)


def for_shell(hint: str) -> str:
    """Return a hint whose settings are written as `--set section.field=value`.

    >>> for_shell("say which one: format: text or format: alpaca")
    'say which one: --set prepare.format=text or --set prepare.format=alpaca'
    """
    return _write(hint, lambda section, field, value: f"--set {shlex.quote(f'{section}.{field}={_bare(value)}')}")


def for_python(hint: str) -> str:
    """Return a hint whose settings are written as keyword arguments.

    >>> for_python("to train without them, say so: ignore: [images]")
    "to train without them, say so: ignore=['images']"
    """
    return _write(hint, lambda section, field, value: f"{field}={_literal(value)}")


def hints_for_python(function: Callable[P, R]) -> Callable[P, R]:
    """Give the errors of a function that people call hints in Python."""

    @functools.wraps(function)
    def call(*arguments: P.args, **values: P.kwargs) -> R:
        try:
            return function(*arguments, **values)
        except DizuoError as error:
            if error.hint is not None:
                error.hint = for_python(error.hint)
            raise

    return call


def _write(hint: str, form: Callable[[str, str, str], str]) -> str:
    def replace(match: re.Match[str]) -> str:
        field, value = match["field"], match["value"].rstrip(".")
        sections = [match["section"]] if match["section"] else list(OPTIONS)
        section = next((name for name in sections if field in _FIELDS.get(name, ())), None)
        if section is None:
            return match[0]
        return form(section, field, value) + match["value"][len(value) :]

    return _SETTING.sub(replace, hint)


def _bare(text: str) -> str:
    """Return a value without the quotes that a recipe needs."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _literal(text: str) -> str:
    try:
        return repr(yaml.safe_load(text))
    except yaml.YAMLError:
        return repr(text)
