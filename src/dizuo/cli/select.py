"""`dizuo select`: what there is to choose from; with `--data`, how good each is at it before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from dizuo.cli.flags import JSON, SET, flags
from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.models import Candidate
    from dizuo.steps.select import Comparison

__all__ = ["command"]


@click.command(name="select")
@click.argument("addresses", metavar="[ADDRESS]…", nargs=-1)
@click.option("--data", metavar="ADDRESS|RECIPE", multiple=True, help="Data to probe on, or a recipe that names it.")
@click.option("--sample", metavar="N", type=click.IntRange(min=1), help="Rows to probe (100).")
@flags(SET, JSON)
def command(
    addresses: tuple[str, ...], data: tuple[str, ...], sample: int | None, overrides: tuple[str, ...], as_json: bool
) -> None:
    """List models: those given here, those in the cache, and those that dizuo knows.

    With --data each given model (all of them where none is given) is probed on a sample of your data, beside cheap
    baselines: whether to tune at all is the first question.
    """
    if data:
        _probe(addresses, data, sample or 100, overrides, as_json)
        return
    if sample is not None or overrides:
        raise click.UsageError("--sample and --set say how to probe, which needs --data")
    from dizuo.cli.render import emit, table, watching
    from dizuo.models import inspect, listing

    with watching(as_json=as_json) as watch:
        for address in addresses:
            inspect(address, watch=watch)
    candidates = listing(addresses)
    if as_json:
        emit([_json(candidate) for candidate in candidates])
        return
    table(
        ["model", "where", "parameters", "context", "licence", "to fetch", "use", "LoRA", "full"],
        [_row(candidate) for candidate in candidates],
        right=(2, 3, 5, 6, 7, 8),
    )
    _notes([(candidate.address, candidate.licence, (), ()) for candidate in candidates])


def _row(candidate: Candidate) -> list[str]:
    needs = [_fit(candidate, method) for method in ("inference", "lora", "full")]
    fetch = "" if candidate.cached else f"{candidate.download_bytes / 1e6:,.0f} MB"
    facts = [
        f"{candidate.parameters / 1e6:,.0f} M",
        f"{candidate.context_length:,}",
        candidate.licence or say("not stated"),
    ]
    return [candidate.address, say(candidate.origin), *facts, fetch, *needs]


def _fit(candidate: Candidate, method: str) -> str:
    return f"{candidate.needs(method) / 1e9:.1f} GB" + ("" if candidate.fits(method) else say(" (too big)"))


def _json(candidate: Candidate) -> dict[str, Any]:
    methods = ("inference", "lora", "full")
    return {
        "address": candidate.address,
        "origin": candidate.origin,
        "parameters": candidate.parameters,
        "context_length": candidate.context_length,
        "licence": candidate.licence,
        "download_bytes": candidate.download_bytes,
        "notes": list(candidate.spec.notes),
        "needs_bytes": {method: candidate.needs(method) for method in methods},
        "fits": {method: candidate.fits(method) for method in methods},
    }


def _probe(
    addresses: tuple[str, ...], data: tuple[str, ...], sample: int, overrides: tuple[str, ...], as_json: bool
) -> None:
    from dizuo.cli.flags import read_recipe
    from dizuo.cli.render import emit, heading, line, watching
    from dizuo.steps.select import compare

    is_recipe = len(data) == 1 and data[0].endswith((".yaml", ".yml"))
    recipe = read_recipe(data[0] if is_recipe else None, data=() if is_recipe else data, overrides=overrides)
    with watching(as_json=as_json) as watch:
        comparison = compare(addresses, recipe, sample=sample, watch=watch)
    if as_json:
        emit(comparison)
        return
    heading(f"{comparison.probes[0].metric} of untrained models on {comparison.probes[0].row.n:,} rows of your data")
    _probes(comparison)
    if comparison.cheap or comparison.absent:
        heading(f"cheap baselines on the same rows, trained on the {comparison.probes[0].num_training:,} others")
        _cheap(comparison)
    _notes([(probe.address, probe.licence, probe.licence_files, probe.notes) for probe in comparison.probes])
    line()
    line(f"take {comparison.recommendation.address}: {comparison.recommendation.reason}", style="bold")


def _notes(models: list[tuple[str, str | None, tuple[str, ...], tuple[str, ...]]]) -> None:
    """Print the licences that ask for more than a notice, and what else a person should know of a model."""
    from dizuo.artifacts import terms_of
    from dizuo.cli.render import heading, pairs

    lines = []
    for address, licence, files, notes in models:
        terms = terms_of(licence)
        said = [f"licence: {terms}" + (f"; its text: {files[0]}" if files else "")] if terms else []
        lines += [(address if i == 0 else "", say(text)) for i, text in enumerate([*said, *notes])]
    if lines:
        heading("good to know")
        pairs(lines)


def _probes(comparison: Comparison) -> None:
    from dizuo.cli.render import duration, table

    headers = ["model", "score", "interval", "bits/byte", "tokens/s", "answering", "LoRA", "licence", "probed in"]
    rows = [
        [
            probe.address,
            f"{100 * probe.row.score:.1f} %",
            f"{100 * probe.row.low:.1f}–{100 * probe.row.high:.1f}",
            f"{probe.bits_per_byte:.2f}",
            f"{probe.tokens_per_second:,.0f}",
            f"{probe.memory_bytes / 1e9:.1f} GB",
            f"{probe.training_bytes / 1e9:.1f} GB",
            probe.licence or say("not stated"),
            duration(probe.seconds),
        ]
        for probe in comparison.probes
    ]
    table(headers, rows, right=(1, 2, 3, 4, 5, 6, 8))


def _cheap(comparison: Comparison) -> None:
    from dizuo.cli.render import duration, table

    rows = [
        [
            say(row.title),
            f"{100 * row.score:.1f} %",
            f"{100 * row.low:.1f}–{100 * row.high:.1f}",
            duration(row.seconds_train or 0.0),
        ]
        for row in comparison.cheap
    ]
    rows += [[say(title), say(f"absent: {why}"), "", ""] for title, why in comparison.absent.items()]
    table(["", "score", "interval", "training"], rows, right=(1, 2, 3))
