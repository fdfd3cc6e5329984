"""The public surface: names, signatures, documented imports, help, the schema of recipes, messages for mistakes."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
from commands import answer, told

__all__ = ["things"]

PUBLIC = ("dizuo", "dizuo.vectors")
DOCUMENTED = (
    "dizuo.cli.dizuo", "dizuo.testing.VectorStoreSuite", "dizuo.training.method.find", "dizuo.training.method.Method",
    "dizuo.vectors.changing.change_embedder", "dizuo.vectors.documents.Document",
    "dizuo.vectors.embedding.CallableEmbedder", "dizuo.vectors.embedding.open_embedder",
    "dizuo.vectors.integrations.haystack", "dizuo.vectors.integrations.langchain",
    "dizuo.vectors.integrations.llamaindex", "dizuo.vectors.knowledge_base.KnowledgeBase",
    "dizuo.vectors.reranking.open_reranker", "dizuo.vectors.retrieval.evaluate_retrieval",
    "dizuo.vectors.retrieval.mine_hard_negatives", "dizuo.vectors.retrieval.sources_of",
)  # fmt: skip
"""Imports that README and docs show beyond the two public packages."""
_MODULE = re.compile(r"\b(?:[a-z_]\w*\.)+(?=[A-Za-z_])")
"""The module in front of a name in an annotation: modules may move, names may not."""
_WRONG = {
    "a misspelt verb": ("trian",),
    "a misspelt option": ("train", "--modle", "x"),
    "no argument": ("plan",),
    "a recipe that is not there": ("run", "nothing.yaml"),
    "a recipe with wrong fields": ("recipe", "check", "wrong.yaml"),
    "a wrong --set": ("recipe", "check", "recipes/questions.yaml", "--set", "train.epochs=many", "--set", "a.b=1"),
    "a right recipe": ("recipe", "check", "recipes/questions.yaml", "--json"),
    "bad rows": ("prepare", "--data", "bad.csv", "--check"),
    "good rows": ("prepare", "--data", "rows/questions.csv", "--check", "--json"),
    "a model that is not there": ("select", "./nothing"),
    "a run that is not there": ("runs", "show", "nothing"),
    "no runs": ("runs", "ls"),
    "a release that is not there": ("chat", "nothing", "hello"),
    "a store that is not there": ("vectors", "search", "./nothing", "words"),
    "a wrong address": ("vectors", "info", "lancdb://x"),
    "two questions at once": ("vectors", "search", "memory://", "--vector", "[1", "--like", "x"),
    "the version": ("--version",),
}
"""Commands whose whole answer is recorded, most of them mistakes."""
_BAD_RECIPE = "name: Wrong Name\nseed: x\nprepare: {source: rows/questions.csv, tset: 3}\ntrain: {rnk: 4, rank: -1}\n"
_BAD_ROWS = "text,label\nhello,a\n,b\nagain,\nthird,a,too many\n"


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    shutil.rmtree("surface", ignore_errors=True)
    Path("surface").mkdir()  # a folder without runs
    os.chdir("surface")
    samples.write(Path(), given.data)
    Path("wrong.yaml").write_text(_BAD_RECIPE, "utf-8")
    Path("bad.csv").write_text(_BAD_ROWS, "utf-8")
    for module in PUBLIC:
        yield f"{module}: names", lambda module=module: list(importlib.import_module(module).__all__)
        yield f"{module}: parameters and defaults", lambda module=module: surface(module, annotated=False)
        yield f"{module}: annotations", lambda module=module: surface(module, annotated=True)
        yield f"{module}: documentation of names", lambda module=module: documentation(module)
    yield "documented imports", lambda: {name: is_there(name) for name in DOCUMENTED}
    yield from ((f"help: {words}", lambda text=text: text) for words, text in helps())
    yield "recipe schema", lambda: json.loads(answer("recipe", "schema"))
    yield from ((f"told: {name}", lambda words=words: told(*words)) for name, words in _WRONG.items())


def surface(module: str, *, annotated: bool) -> dict[str, Any]:
    """Return the signature of everything public, and of the public methods of classes."""
    package = importlib.import_module(module)
    out: dict[str, Any] = {}
    for name in package.__all__:
        value = getattr(package, name)
        out |= _members(name, value, annotated) if inspect.isclass(value) else {name: _text_of(value, annotated)}
    return out


def documentation(module: str) -> dict[str, Any]:
    package = importlib.import_module(module)
    return {name: inspect.getdoc(getattr(package, name)) for name in package.__all__ if name != "__version__"}


def _members(name: str, kind: type[Any], annotated: bool) -> dict[str, Any]:
    out: dict[str, Any] = {name: _text_of(kind, annotated)}
    out[f"{name}, bases"] = [base.__name__ for base in kind.__mro__]
    if dataclasses.is_dataclass(kind):
        out[f"{name}, fields"] = [item.name for item in dataclasses.fields(kind)]
    for member, value in inspect.getmembers(kind):
        if member.startswith("_"):
            continue
        if isinstance(value, property):
            value = value.fget
        out[f"{name}.{member}"] = _text_of(value, annotated)
    return out


def _text_of(value: Any, annotated: bool) -> str:
    if not callable(value):
        return type(value).__name__
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return "no signature"
    if not annotated:
        empty = inspect.Parameter.empty
        plain = [parameter.replace(annotation=empty) for parameter in signature.parameters.values()]
        signature = signature.replace(parameters=plain, return_annotation=inspect.Signature.empty)
    return _MODULE.sub("", str(signature).replace("'", ""))


def is_there(name: str) -> bool:
    module, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), last) or bool(importlib.import_module(name))
    except ModuleNotFoundError as error:
        return (error.name or "").partition(".")[0] != "dizuo"  # another package is missing; ours was found


def helps(*words: str) -> Iterator[tuple[str, str]]:
    """Yield every --help, down to the last sub-verb."""
    text = answer(*words, "--help")
    yield " ".join(words) or "dizuo", text
    _, _, commands = text.partition("\nCommands:\n")
    for name in re.findall(r"^  ([a-z][\w-]*)", commands, re.MULTILINE):
        yield from helps(*words, name)
