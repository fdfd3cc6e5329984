"""What a person reads when a recipe is through: scores before and after, answers side by side, what to do next."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dizuo.languages import say

if TYPE_CHECKING:
    from dizuo.evaluation import Report, Row
    from dizuo.evaluation.reporting.parts import Sample
    from dizuo.steps.pipeline import Outcome

__all__ = ["show_outcome", "show_release", "show_report"]

WIDTH = 100


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Print everything: the table, answers, the report's place, and the commands to serve and to chat."""
    show_report(outcome, as_json=as_json)
    if not as_json:
        _next(outcome)


def show_report(outcome: Outcome, *, as_json: bool) -> None:
    """Print the report's table, its verdict, and a few answers of both models."""
    from dizuo.cli.render import emit, heading, line, side_by_side
    from dizuo.cli.running import steps_json

    report = outcome.report
    assert report is not None
    if as_json:
        value = report.to_json()
        kept = {name: value[name] for name in ("metric", "split", "n", "rows", "verdict", "samples", "absent")}
        emit({**steps_json(outcome), "release": _release(outcome), "report": kept})
        return
    heading(f"{report.metric} on {report.n:,} {report.split} items, {100 * report.confidence:.0f} % intervals")
    _scores(report)
    for title, reason in report.absent.items():
        line(f"{title}: not here, {reason}", style="dim")
    line()
    line(report.verdict, style="bold")
    if report.samples:
        heading("answers, side by side")
        side_by_side([_sample(sample) for sample in report.samples])
    heading("report")
    line(_shown(_folder(outcome, "evaluate") / "report.html"))


def show_release(outcome: Outcome, *, as_json: bool) -> None:
    """Print what was registered."""
    from dizuo.cli.render import emit
    from dizuo.cli.running import steps_json

    if as_json:
        emit({**steps_json(outcome), "release": _release(outcome)})
    else:
        _next(outcome)


def _next(outcome: Outcome) -> None:
    from dizuo.cli.render import heading, line
    from dizuo.cli.running import command_path
    from dizuo.serving.release_names import DEFAULT_ALIAS

    release = outcome.release
    if release is None:
        return
    heading(f"deployed as {release}" + (f" ({', '.join(release.aliases)})" if release.aliases else ""))
    named = release.name if DEFAULT_ALIAS in release.aliases else str(release)  # the name alone means another one
    line(f"{command_path()} serve {named}")
    line(f"{command_path()} chat {named}")


def _release(outcome: Outcome) -> dict[str, Any] | None:
    release = outcome.release
    return None if release is None else {"name": release.name, "version": release.version, "digest": release.digest}


def _scores(report: Report) -> None:
    from dizuo.cli.render import table

    headers = ["", report.metric, "interval", "items", "p, best cheap", "training", "ms/item", "MB"]
    strong = [index for index, row in enumerate(report.rows) if row.family == "tuned"]
    table(headers, [_row(row) for row in report.rows], right=(1, 2, 3, 4, 5, 6, 7), strong=strong)


def _row(row: Row) -> list[str]:
    from dizuo.cli.render import duration

    return [
        say(row.title),
        f"{100 * row.score:.1f} %",
        f"{100 * row.low:.1f}–{100 * row.high:.1f}",
        f"{row.n:,}",
        "" if row.p_vs_best_cheap is None else f"{row.p_vs_best_cheap:.2g}",
        "" if row.seconds_train is None else duration(row.seconds_train) if row.seconds_train else say("none"),
        "" if row.ms_per_item is None else f"{row.ms_per_item:.3g}",
        "" if row.mb_on_disk is None else f"{row.mb_on_disk:,.1f}",
    ]


def _sample(sample: Sample) -> tuple[str, list[tuple[str, str]]]:
    from dizuo.cli.clean import excerpt

    answers = [("expected", excerpt(sample.expected, WIDTH))]
    for title, answer in sorted(sample.answers.items(), key=lambda item: not item[0].startswith("untuned")):
        right = sample.right.get(title)
        mark = "" if right is None else "✓" if right else "✗"
        answers.append((title, f"{excerpt(answer, WIDTH)} {mark}".rstrip()))
    return excerpt(sample.text, WIDTH), answers


def _folder(outcome: Outcome, step: str) -> Path:
    return next(result.folder for result in outcome.steps if result.name == step)


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
