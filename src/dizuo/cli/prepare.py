"""`dizuo prepare`: read, check and split data, or only check it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import FORCE, JSON, QUARANTINE, ROWS, SET, RecipeFlags, recipe_flags
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.data import Dataset

__all__ = ["command"]


@click.command(name="prepare")
@click.argument("sources", metavar="RECIPE|DATA…", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Report format, counts and every bad row; write nothing.")
@recipe_flags(ROWS, QUARANTINE, SET, FORCE, JSON)
def command(given: RecipeFlags, sources: tuple[str, ...], check: bool) -> None:
    """Prepare data: a recipe's, or files, folders and addresses given here.

    The format is found from the columns, every row is checked, and the split cannot leak.
    """
    from dizuo.cli.render import emit
    from dizuo.cli.running import run_steps, steps_json

    is_recipe = len(sources) == 1 and sources[0].endswith((".yaml", ".yml"))
    named = replace(given, recipe=sources[0]) if is_recipe else replace(given, data=sources)
    recipe = named.read()
    if check:
        data, folder, steps = *_check(recipe, given.as_json), {}
    else:
        outcome = run_steps(recipe, until="prepare", force=given.forced("prepare"), as_json=given.as_json)
        assert outcome.data is not None
        data, folder, steps = outcome.data, str(outcome.data.folder), steps_json(outcome)
    if given.as_json:
        emit({**steps, "folder": folder, "card": data.card.to_json()})
    else:
        _show(data, folder)


def _check(recipe: Any, as_json: bool) -> tuple[Dataset, str]:
    """Prepare into a folder that is thrown away; only facts that are already read may be used afterwards."""
    import tempfile
    from pathlib import Path

    from dizuo.cli.render import watching
    from dizuo.steps.prepare import model_at_hand, prepare_step
    from dizuo.steps.settings import bind
    from dizuo.training.tokens.checking import check_rows

    settings = bind(recipe, needs=("data",))
    with tempfile.TemporaryDirectory(prefix="dizuo-check-") as folder, watching(as_json=as_json) as watch:
        data, _ = prepare_step(Path(folder) / "data", options=settings.prepare, watch=watch)
        model = model_at_hand(settings.select.model, watch=watch)
        if model is not None:
            check_rows(model, data, method=settings.train.method, method_options=settings.method, watch=watch)
    return data, ""


def _show(data: Dataset, folder: str) -> None:
    from dizuo.cli.clean import excerpt
    from dizuo.cli.render import heading, line, pairs, side_by_side, table

    card = data.card
    items = [("format", f"{card.format} ({say(card.evidence)})" if card.evidence else card.format)]
    if data.task is not None:
        items.append(("task", say(data.task.kind)))
        if data.task.instruction:
            items.append(("instruction", excerpt(data.task.instruction, 200)))
    counted = {name: count for name, count in card.ledger.counts().items() if count or name == "kept"}
    items.append(("rows", say(", ".join(f"{count:,} {name}" for name, count in counted.items()))))
    for what, keys in (("not read", card.unread), ("ignored", card.ignored)):
        if keys:
            items.append((what, ", ".join(f"{key} ({count:,})" for key, count in keys.items())))
    items.append(("splits", ", ".join(f"{say(name)} {figures.rows:,}" for name, figures in card.splits.items())))
    pairs([(say(name), value) for name, value in items])
    labels = sorted({label for figures in card.splits.values() for label in figures.labels})
    if 0 < len(labels) <= 30:
        heading("labels")
        splits = {name: figures for name, figures in card.splits.items() if figures.rows}
        rows = [[label, *(f"{figures.labels.get(label, 0):,}" for figures in splits.values())] for label in labels]
        table(["label", *splits], rows, right=range(1, len(splits) + 1))
    if card.examples:
        heading("examples")
        side_by_side([(excerpt(e["text"], 100), [("answer", excerpt(e["answer"], 100))]) for e in card.examples[:3]])
    if folder:
        heading("folder")
        line(folder)
        heading("data card")
        line(f"{folder}/card.html")
