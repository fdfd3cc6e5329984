"""This is the only file that draws: progress goes to stderr, results go to stdout.

On a terminal rich draws live bars; elsewhere there is one line every few seconds; with `--json` every event and
every result is one line of JSON. Whatever comes from data, models or files is cleaned of control characters, and
nothing shows a password: prose has no part of one, data no whole one (`dizuo.redaction`).
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dizuo.cli.clean import clean, redact, redact_values
from dizuo.events import Event, Finished, Note, Started, Warned, Watcher
from dizuo.events import Progress as Done
from dizuo.languages import say

__all__ = [
    "duration",
    "emit",
    "heading",
    "line",
    "number",
    "pairs",
    "side_by_side",
    "size",
    "stream",
    "table",
    "watching",
]

EVERY = 5.0
"""Seconds between two lines about one piece of work, where there is no terminal."""


@cache
def _console(stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # Without a terminal rich assumes 80 columns and folds tables; a log has no such edge.
    width = None if stream.isatty() else int(os.environ.get("COLUMNS") or 120)
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def _out() -> Console:
    if _console(False).file is not sys.stdout:  # a test or a notebook has replaced the stream
        _console.cache_clear()
    return _console(False)


def _err() -> Console:
    if _console(True).file is not sys.stderr:
        _console.cache_clear()
    return _console(True)


# ---- results, to stdout


def _draw(*renderables: RenderableType) -> None:
    console = _out()
    if console.is_terminal:
        console.print(*renderables, sep="\n")
        return
    with console.capture() as captured:  # rich pads lines to the width, which a log does not need
        console.print(*renderables, sep="\n")
    sys.stdout.write("".join(f"{text.rstrip()}\n" for text in captured.get().splitlines()))
    sys.stdout.flush()


def line(text: str = "", *, style: str = "") -> None:
    """Print one line."""
    _out().print(Text(say(clean(redact(text))), style=style), soft_wrap=True)


def heading(text: str) -> None:
    """Print a heading with a rule under it where there is a terminal."""
    title = Text(say(clean(redact(text))), style="bold")
    _draw(Text(""), Rule(title, align="left", style="dim") if _out().is_terminal else title)


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    strong: Sequence[int] = (),
    styles: Mapping[str, str] | None = None,
    spoken: bool = True,
) -> None:
    """Print a table; `right` names columns of figures, `strong` rows to stress, `styles` those of first cells.

    Headers are messages in the reader's language, unless they are names (`spoken=False`); cells are as they are given.
    """
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for index, header in enumerate(headers):
        numeric = index in right
        grid.add_column(
            Text(say(header) if spoken else header),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
        )
    for index, row in enumerate(rows):
        first, *rest = (str(cell) for cell in redact_values(list(row)))  # type: ignore[union-attr]
        marked = Text(clean(first), style=(styles or {}).get(first, ""))
        grid.add_row(marked, *(Text(clean(cell)) for cell in rest), style="bold" if index in strong else "")
    _draw(grid)


def pairs(items: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in items:
        grid.add_row(Text(clean(name)), Text(clean(redact(value))))
    _draw(grid)


def side_by_side(items: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> None:
    """Print texts with answers under each, as in `(headline, [("untuned", …), ("tuned", …)])`."""
    for text, answers in items:
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for name, answer in answers:
            grid.add_row(Text(say(clean(name))), Text(clean(str(redact_values(answer)))))
        _draw(Group(Text(clean(str(redact_values(text))), style="bold"), Padding(grid, (0, 0, 0, 2))))


def stream(pieces: Iterator[str]) -> None:
    """Print text as it comes, and end the line."""
    for piece in pieces:
        sys.stdout.write(clean(piece))
        sys.stdout.flush()
    sys.stdout.write("\n")


def emit(value: Any) -> None:
    """Print one value as a line of JSON."""
    text = json.dumps(redact_values(_plain(value)), ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text.encode("utf-8", "replace").decode("utf-8") + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str | int | float | bool | None):
        return value
    return str(value) if isinstance(value, Path) else repr(value)


# ---- progress, to stderr


@contextmanager
def watching(*, as_json: bool = False) -> Iterator[Watcher]:
    """Yield a watcher that draws the events it is told of: bars on a terminal, else lines, or JSON."""
    if as_json:
        yield _json_line
    elif sys.stderr.isatty():
        with _Bars() as bars:
            yield bars
    else:
        yield _Lines()


def _json_line(event: Event) -> None:
    value = {"event": type(event).__name__.lower(), **_plain(event)}
    sys.stderr.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stderr.flush()


class _Lines:
    """Prints a line when work begins and ends, and one every few seconds between."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Done):
            now = time.monotonic()
            if now - self.last.get(event.work, -math.inf) < EVERY:
                return
            self.last[event.work] = now
            self.write(_progress_text(event))
        elif isinstance(event, Started):
            self.last[event.work] = time.monotonic()
            self.write(event.work)
        elif text := _plain_text(event):
            self.write(text)

    def write(self, text: str) -> None:
        print(say(clean(text)), file=sys.stderr, flush=True)


class _Bars:
    """Draws live bars; a finished piece of work becomes a line above them."""

    def __init__(self) -> None:
        self.progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[figures]}", markup=False),
            console=_err(),
            transient=True,
            refresh_per_second=6,
        )
        self.tasks: dict[str, TaskID] = {}

    def __enter__(self) -> _Bars:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self.task(event.work, event.total)
        elif isinstance(event, Done):
            task = self.task(event.work, event.total)
            self.progress.update(task, completed=event.done, total=event.total, figures=_figures(event))
        elif isinstance(event, Finished) and event.work in self.tasks:
            self.progress.remove_task(self.tasks.pop(event.work))
        if text := _plain_text(event):
            style = "yellow" if isinstance(event, Warned) else "" if isinstance(event, Finished) else "dim"
            self.progress.console.print(Text(say(clean(text)), style=style))

    def task(self, work: str, total: float | None) -> TaskID:
        if work not in self.tasks:
            self.tasks[work] = self.progress.add_task(say(clean(work)), total=total, figures="")
        return self.tasks[work]


def _plain_text(event: Event) -> str:
    if isinstance(event, Note):
        return f"  {event.text}"
    if isinstance(event, Warned):
        return f"warning: {event.text}"
    if isinstance(event, Finished):
        summary = f"  {event.summary}" if event.summary else ""
        return f"{event.work}: {duration(event.seconds)}{summary}"
    return ""


def _progress_text(event: Done) -> str:
    share = f" {100 * event.done / event.total:3.0f} %" if event.total else ""
    return f"{event.work}{share}  {_figures(event)}"


def _figures(event: Done) -> str:
    total = f"/{number(event.total)}" if event.total else ""
    parts = [f"{number(event.done)}{total} {event.unit}"]
    parts += [f"{name} {number(value)}" for name, value in event.values.items()]
    if event.rate:
        parts.append(f"{number(event.rate)} {event.unit}/s")
    if event.seconds_left is not None:
        parts.append(f"{duration(event.seconds_left)} left")
    return say("  ".join(parts))


def duration(seconds: float) -> str:
    """Return seconds as people say them: `0.4 s`, `48 s`, `3 min 05 s`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def number(value: float) -> str:
    """Return a figure with as many digits as a person reads."""
    if isinstance(value, int) or (math.isfinite(value) and value == round(value) and abs(value) >= 1):
        return f"{int(value):,}"
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def size(count: int) -> str:
    """Return bytes as people say them: `812 B`, `4.1 kB`, `269 MB`, `1.3 GB`."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
