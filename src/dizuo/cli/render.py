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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dizuo.cli.clean import clean, redact, redact_values
from dizuo.events import Event, Finished, Started, Warned, Watcher
from dizuo.events import Progress as Done
from dizuo.languages import say
from dizuo.progress import Lines, duration, fit_line, number, text_of

__all__ = [
    "duration",
    "emit",
    "heading",
    "line",
    "marked",
    "number",
    "pairs",
    "side_by_side",
    "size",
    "stream",
    "table",
    "watching",
]

BAR = 24
"""Characters of a bar."""
TEXT = 24
"""Characters that a column of text keeps at least, before its table is written as paragraphs."""
WIDE = 100
"""Characters of a terminal from which there is room for one."""


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

    Where the terminal is too narrow for it, each row is a paragraph: its first cell, and below it the others with the
    headers before them. Headers are messages, unless they are names (`spoken=False`); cells stay as they are.
    """
    headers = [say(header) for header in headers] if spoken else headers
    cells = [[clean(str(cell)) for cell in redact_values(list(row))] for row in rows]  # type: ignore[union-attr]
    marks = [Text(row[0], style=(styles or {}).get(str(rows[i][0]), "")) for i, row in enumerate(cells)]
    stress = ["bold" if i in strong else "" for i in range(len(cells))]
    width = _out().width
    widest = [max((cell_len(row[index]) for row in cells), default=0) for index in range(len(headers))]
    least = [
        max(cell_len(header), widest[index] if index in right else min(widest[index], TEXT))
        for index, header in enumerate(headers)
    ]
    if sum(least) + 2 * (len(least) - 1) > width:
        for mark, row, style in zip(marks, cells, stress, strict=True):
            said = [f"{header} {cell}".strip() for header, cell in zip(headers[1:], row[1:], strict=True) if cell]
            _draw(Text.assemble(mark, style=style or "bold"), *(Text(f"  {line}") for line in _wrap(said, width - 2)))
        return
    grid = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for index, header in enumerate(headers):
        numeric = index in right
        grid.add_column(
            Text(header),
            justify="right" if numeric else "left",
            no_wrap=numeric,
            overflow="fold",
            min_width=least[index],
        )
    for mark, row, style in zip(marks, cells, stress, strict=True):
        grid.add_row(mark, *(Text(cell) for cell in row[1:]), style=style)
    _draw(grid)


def marked(pieces: Sequence[tuple[str, bool]]) -> None:
    """Print a text with some of its pieces in colour, or between ⟦ and ⟧ where there is none."""
    console = _out()
    colour = console.is_terminal and not console.no_color
    whole = Text()
    for piece, stressed in pieces:
        shown = clean(str(redact_values(piece)))
        whole.append(f"⟦{shown}⟧" if stressed and not colour else shown, style="bold green" if stressed else "dim")
    _draw(Padding(whole, (0, 0, 1, 2)))


def _wrap(pieces: Sequence[str], width: int) -> list[str]:
    """Return pieces joined by three spaces, as many in a line as fit."""
    lines: list[str] = []
    for piece in pieces:
        if lines and cell_len(lines[-1]) + 3 + cell_len(piece) <= width:
            lines[-1] += f"   {piece}"
        else:
            lines.append(piece)
    return lines


def pairs(items: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns, or each value below its name where a name takes half of the width."""
    if max((cell_len(name) for name, _ in items), default=0) > _out().width // 2:
        for name, value in items:
            _draw(
                *([Text(clean(name), style="dim")] if name else []), Padding(Text(clean(redact(value))), (0, 0, 0, 2))
            )
        return
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
        yield Lines(lambda text: print(clean(text), file=sys.stderr, flush=True))


def _json_line(event: Event) -> None:
    value = {"event": type(event).__name__.lower(), **_plain(event)}
    sys.stderr.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stderr.flush()


class _Live(ProgressColumn):
    """One line that fits: the name, the share, the time left, and as many figures as there is room for."""

    def render(self, task: Task) -> Text:
        width = _err().width - (BAR + 1 if _err().width >= WIDE else 0)
        last = task.fields["last"]
        return Text(clean(fit_line(last, width) if last is not None else task.description))


class _Bars:
    """Draws a live line for each piece of work, with a bar where there is room; a finished one becomes a line above."""

    def __init__(self) -> None:
        bar = [BarColumn(bar_width=BAR)] if _err().width >= WIDE else []
        self.progress = Progress(*bar, _Live(), console=_err(), transient=True, refresh_per_second=6)
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
            self.progress.update(task, completed=event.done, total=event.total, last=event)
        elif isinstance(event, Finished) and event.work in self.tasks:
            self.progress.remove_task(self.tasks.pop(event.work))
        if text := text_of(event):
            style = "yellow" if isinstance(event, Warned) else "" if isinstance(event, Finished) else "dim"
            self.progress.console.print(Text(say(clean(text)), style=style))

    def task(self, work: str, total: float | None) -> TaskID:
        if work not in self.tasks:
            self.tasks[work] = self.progress.add_task(say(clean(work)), total=total, last=None)
        return self.tasks[work]


def size(count: int) -> str:
    """Return bytes as people say them: `812 B`, `4.1 kB`, `269 MB`, `1.3 GB`."""
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"
