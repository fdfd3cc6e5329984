"""Evaluation and release: reports with all their items, what is in the bundles, and what the released models answer."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
from commands import answer, asked, served
from content import contents

__all__ = ["answers_over_http", "things"]

EVALUATED = tuple(name for name in samples.FULL if name != "plays")
"""Running text has no right answers."""


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    shutil.rmtree(Path(os.environ["DIZUO_HOME"], "data"), ignore_errors=True)
    for name in EVALUATED:
        folder = Path("runs", name)
        for step in ("4-evaluate", "5-deploy"):
            shutil.rmtree(folder / step, ignore_errors=True)
        yield f"{name}: steps that ran, gate, release", lambda name=name: released(name)
        yield f"{name}: report", lambda folder=folder: contents(folder / "4-evaluate")
        yield f"{name}: bundle", lambda folder=folder: contents(folder / "5-deploy")
        if name in samples.ASKED:
            yield f"{name}: chat", lambda name=name: answer("chat", name, *samples.ASKED[name], "--json")
    yield "registry", lambda: contents(Path(os.environ["DIZUO_HOME"], "data"))
    yield "questions: over HTTP", lambda: answers_over_http("questions")
    yield "papers: over HTTP", lambda: answers_over_http("papers")


def released(name: str) -> list[Any]:
    """Run all five steps of a recipe; training was done before."""
    import dizuo

    outcome = dizuo.run(f"recipes/{name}.yaml")
    steps = [[step.name, step.ran, step.why] for step in outcome.steps]
    return [steps, list(outcome.closed), str(outcome.release)]


def answers_over_http(name: str) -> dict[str, Any]:
    """Return what a server of the model answers, right requests and wrong ones."""
    text = samples.ASKED[name][0]
    chat = {"model": name, "messages": [{"role": "user", "content": text}]}
    bodies = {
        "chat": ("chat/completions", {**chat, "max_tokens": 8, "temperature": 0, "logprobs": True, "top_logprobs": 3}),
        "drawn": ("chat/completions", {**chat, "max_tokens": 8, "temperature": 0.9, "top_p": 0.8, "seed": 5}),
        "stream": ("chat/completions", {**chat, "max_tokens": 8, "stream": True}),
        "classify": ("classify", {"input": samples.ASKED[name]}),
        "unknown field": ("chat/completions", {**chat, "temprature": 1}),
        "wrong value": ("chat/completions", {**chat, "max_tokens": -1}),
    }
    with served(name) as address:
        found = {what: asked(f"{address}/v1/{path}", body) for what, (path, body) in bodies.items()}
        return {"models": asked(f"{address}/v1/models"), **found}
