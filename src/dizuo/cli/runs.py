"""`dizuo runs ls|show|compare|rm`: what is under runs/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from dizuo.artifacts import remove_folder, size_of
from dizuo.cli.flags import JSON, YES, flags, runs_root
from dizuo.errors import DizuoError, did_you_mean
from dizuo.languages import say

__all__ = ["command"]


@click.group(name="runs")
def command() -> None:
    """List, show, compare and remove runs."""


@command.command(name="ls")
@flags(JSON)
def ls(as_json: bool) -> None:
    """List the runs in ./runs, the newest first."""
    from dizuo.cli.render import emit, line, size, table

    runs = [_facts(folder) for folder in _folders()]
    runs.sort(key=lambda facts: str(facts["finished"]), reverse=True)
    if as_json:
        emit(runs)
    elif not runs:
        line(f"no runs in {runs_root()}/")
    else:
        rows = [
            [r["name"], r["steps"], r["model"], _percent(r["score"]), size(r["bytes"]), r["finished"]] for r in runs
        ]
        table(["run", "steps done", "model", "score", "size", "finished"], rows, right=(3, 4))


@command.command(name="show")
@click.argument("name", metavar="NAME")
@flags(JSON)
def show(name: str, as_json: bool) -> None:
    """Show one run: its steps, settings and figures."""
    from dizuo.cli.render import emit, heading, pairs

    folder = _folder(name)
    manifests = _manifests(folder)
    if as_json:
        emit({**_facts(folder), "manifests": manifests})
        return
    pairs([(say(key), str(value)) for key, value in _facts(folder).items()])
    for step, manifest in manifests.items():
        heading(f"{step}: {manifest['seconds']:,.1f} s, {manifest['finished']}")
        chosen = {key: value for key, value in manifest["settings"].items() if _origin(manifest, key) != "default"}
        pairs([(key, str(value)) for key, value in chosen.items()])


@command.command(name="compare")
@click.argument("names", metavar="NAME NAME…", nargs=-1, required=True)
@flags(JSON)
def compare(names: tuple[str, ...], as_json: bool) -> None:
    """Put runs side by side: every setting that differs, and the scores."""
    from dizuo.cli.render import emit, table

    if len(names) < 2:
        raise click.UsageError("compare needs two runs or more", click.get_current_context())
    folders = [_folder(name) for name in names]
    settings = [_settings(folder) for folder in folders]
    facts = [_facts(folder) for folder in folders]
    keys = sorted({key for run in settings for key in run})
    differing = [key for key in keys if len({json.dumps(run.get(key)) for run in settings}) > 1]
    if as_json:
        emit({"runs": facts, "settings": {key: [run.get(key) for run in settings] for key in differing}})
        return
    rows = [[key, *(str(run.get(key, "")) for run in settings)] for key in differing]
    rows += [[say("score"), *(_percent(run["score"]) for run in facts)]]
    table(["", *names], rows, spoken=False)


@command.command(name="rm")
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@flags(YES, JSON)
def rm(names: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Remove runs, checkpoints and all; their releases stay in the registry.

    A run that is being trained is not removed.
    """
    from functools import partial

    from dizuo.cli.removing import remove

    folders = [_folder(name) for name in names]
    for folder in folders:
        _refuse_running(folder)
    remove(
        [(folder.name, size_of(folder), partial(remove_folder, folder)) for folder in folders], yes=yes, as_json=as_json
    )


def _refuse_running(folder: Path) -> None:
    from filelock import FileLock, Timeout

    for path in folder.rglob(".lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            raise DizuoError(f"{folder} is being trained by another process", hint="end it first") from None


def _origin(manifest: dict[str, Any], key: str) -> str:
    return str(manifest["origins"].get(key, "default"))


def _folders() -> list[Path]:
    root = runs_root()
    return sorted(path for path in root.iterdir() if _manifests(path)) if root.is_dir() else []


def _folder(name: str) -> Path:
    folder = runs_root() / name
    known = [path.name for path in _folders()]
    if name not in known:
        hint = f"there are: {', '.join(known)}" if known else "run a recipe first, such as recipes/quickstart.yaml"
        raise DizuoError(f"there is no run {name!r} in {runs_root()}/{did_you_mean(name, known)}", hint=hint)
    return folder


def _manifests(folder: Path) -> dict[str, dict[str, Any]]:
    manifests = {}
    for path in sorted(folder.glob("[1-5]-*/manifest.json")):
        try:
            manifest = json.loads(path.read_text(encoding="utf-8"))
            manifests[str(manifest["step"])] = manifest
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return manifests


def _settings(folder: Path) -> dict[str, Any]:
    manifests = _manifests(folder)
    return {
        f"{step}.{key}": value for step, manifest in manifests.items() for key, value in manifest["settings"].items()
    }


def _facts(folder: Path) -> dict[str, Any]:
    manifests = _manifests(folder)
    last = max((manifest["finished"] for manifest in manifests.values()), default="")
    model = manifests.get("select", {}).get("settings", {}).get("model", "")
    return {
        "name": folder.name,
        "folder": str(folder),
        "steps": ", ".join(manifests),
        "model": model,
        "score": _score(folder),
        "bytes": size_of(folder),
        "finished": last,
    }


def _score(folder: Path) -> float | None:
    from dizuo.evaluation import Report

    try:
        tuned = Report.open(folder / "4-evaluate").tuned
    except DizuoError:
        return None
    return tuned.score if tuned is not None else None


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
