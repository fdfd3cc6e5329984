"""Old things: what the older side wrote, opened by the tree under test; the older side does the same with a copy of it.

Runs are listed and shown, finished ones return at once, the interrupted one is resumed to the bits of the uninterrupted
one, releases are served, stores and knowledge bases are searched and synced on.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import samples
from commands import answer
from content import content, contents
from recording_evaluation import EVALUATED, answers_over_http
from recording_knowledge import embedders, found, on_the_command_line
from recording_vectors import DIM, FILTERS, asked_of, hits_of, info, scanned, vectors

__all__ = ["things"]

STORES = {
    "lancedb": "lancedb://stores/lancedb",
    "chroma": "chroma://stores/chroma",
    "milvus": "milvus://stores/milvus.db",
}


def things(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Work in a copy of the older side's folders, with its models, which are only read."""
    copy_of(given.before)
    yield "runs ls", lambda: answer("runs", "ls", "--json")
    for name in ("questions", "plays", "interrupted"):
        yield f"runs show {name}", lambda name=name: answer("runs", "show", name, "--json")
    yield "runs compare", lambda: answer("runs", "compare", "questions", "papers", "pairs", "--json")
    for name in samples.FULL:
        yield f"{name}: opened in Python", lambda name=name: opened(name)
        yield f"{name}: nothing runs again", lambda name=name: run_again(name)
    yield "interrupted: goes on to the bits of the uninterrupted run", go_on
    for name, texts in samples.ASKED.items():
        yield f"{name}: chat", lambda name=name, texts=texts: answer("chat", name, *texts, "--json")
    yield "questions: over HTTP", lambda: answers_over_http("questions")
    for name in embedders():
        yield f"knowledge {name}: hits and citations", lambda name=name: found("knowledge", name)
    yield "knowledge english: on the command line", lambda: on_the_command_line("knowledge", "english")
    yield "knowledge english: synced on", lambda: synced_on("english")
    for engine, url in STORES.items():
        if (given.before / "work" / "stores").joinpath(url.partition("stores/")[2]).exists():
            yield f"store {engine}", lambda url=url: store_of(url)
    os.chdir(given.out.parent)
    for folder in ("opened", "opened-home"):
        shutil.rmtree(given.out.parent.parent / "work" / folder)


def copy_of(before: Path) -> None:
    place = Path("opened")
    shutil.rmtree(place, ignore_errors=True)
    unwanted = shutil.ignore_patterns("opened", "planned.yaml")
    shutil.copytree(before / "work", place, ignore=unwanted)
    home = Path("opened-home").absolute()
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(before / "home" / "data", home / "data")
    (home / "cache").symlink_to(before / "home" / "cache")
    os.environ["DIZUO_HOME"] = str(home)
    os.chdir(place)


def opened(name: str) -> dict[str, Any]:
    """Return what Python says of an old run and its report."""
    import dizuo

    run = dizuo.Run.open(Path("runs", name, "3-train"))
    values = run.plan.to_json()["values"]
    plan = {key: [one["value"], one["origin"], one["why"]] for key, one in values.items()}
    out = {
        "finished": run.finished,
        "metrics": run.metrics(),
        "samples": run.samples(),
        "plan": plan,
        "model": run.spec,
    }
    if name in EVALUATED:
        out["report"] = dizuo.Report.open(Path("runs", name, "4-evaluate"))
    return out


def run_again(name: str) -> list[Any]:
    """Run an old recipe once more: every step is done."""
    import dizuo

    outcome = dizuo.run(f"recipes/{name}.yaml", until="deploy" if name in EVALUATED else "train")
    again = [f"{step.name}: {step.why}" for step in outcome.steps if step.ran]
    if again:
        raise RuntimeError(f"steps ran again: {again}")
    return [[step.name for step in outcome.steps], list(outcome.closed), str(outcome.release)]


def go_on() -> dict[str, Any]:
    """Resume the run that was killed after ten steps, and hold it against the one that was not."""
    import dizuo

    before = [line["step"] for line in content(Path("runs/interrupted/3-train.partial/metrics.jsonl"))]
    outcome = dizuo.run("recipes/interrupted.yaml", until="train")
    names = ("adapter/*", "checkpoints/step-00000020/*.safetensors", "metrics.jsonl")
    resumed, whole = (contents(Path("runs", name, "3-train"), *names) for name in ("interrupted", "questions"))
    for one in (resumed, whole):
        one["metrics.jsonl"] = [{k: v for k, v in line.items() if k != "seconds"} for line in one["metrics.jsonl"]]
    wrong = [name for name in {**resumed, **whole} if resumed.get(name) != whole.get(name)]
    if wrong or max(before) >= 20:
        raise RuntimeError(f"the resumed run is not the uninterrupted one: {wrong}; it had {max(before)} steps")
    return {"steps": [[step.name, step.ran, step.why] for step in outcome.steps], "before": before, **resumed}


def synced_on(name: str) -> list[Any]:
    """Sync an old knowledge base: nothing is new, then one document is, and one is gone."""
    options = ("--embedder", embedders()[name], "--name", name, "--json")
    folder = Path(f"texts-{name}")
    shutil.copytree("texts", folder)
    first = answer("vectors", "sync", "knowledge", str(folder), *options)
    (folder / "en" / "00.md").write_text("# Leave\n\nEverybody has thirty days of leave.\n", "utf-8")
    (folder / "zh" / "00.txt").unlink()
    second = answer("vectors", "sync", "knowledge", str(folder), *options)
    return [first, second, answer("vectors", "search", "knowledge", "days of leave", "--collection", f"{name}.g1")]


def store_of(url: str) -> list[Any]:
    import dizuo

    with dizuo.connect(url, dim=DIM, create=False) as store:
        hits = [hits_of(store.hybrid("数据 cells", query, 5)) for query in vectors(2, 99)]
        return [info(store), scanned(store), hits, [asked_of(store, where) for where in FILTERS]]
