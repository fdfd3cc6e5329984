"""Events as lines of text, and `show`, which prints them where a person watches.

The library prints nothing where nobody does. The functions that people call take `watch: Watcher = show`: on a terminal
and in a notebook it writes a line to stderr when work begins and ends and every few seconds between; in a log, a
server or a test it is silent. `watch=ignore` silences it, and any other function takes the events instead.
"""

from __future__ import annotations

import math
import sys
import time
import unicodedata
from collections.abc import Callable

from dizuo.events import Event, Finished, Note, Progress, Started, Warned
from dizuo.languages import say

__all__ = ["Lines", "duration", "fit_line", "number", "show", "text_of"]

EVERY = 5.0
"""Seconds between two lines about one piece of work."""
NAME = 24
"""Characters of a piece of work's name that a narrow line keeps."""


class Lines:
    """Writes a line when work begins and ends, and one every few seconds between.

    Args:
        write: takes a line without its end.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        """Write what the event says, if its time has come."""
        if isinstance(event, Progress):
            now = time.monotonic()
            if now - self._last.get(event.work, -math.inf) < EVERY:
                return
            self._last[event.work] = now
            self._write(fit_line(event))
        elif isinstance(event, Started):
            self._last[event.work] = time.monotonic()
            self._write(say(event.work))
        elif text := text_of(event):
            self._write(say(text))


def _write_error(line: str) -> None:
    print("".join(letter if letter.isprintable() else "\ufffd" for letter in line), file=sys.stderr, flush=True)


_lines = Lines(_write_error)


def show(event: Event) -> None:
    """Print an event to stderr on a terminal or in a notebook, and nothing elsewhere."""
    if "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty()):
        _lines(event)


def text_of(event: Event) -> str:
    """Return what an event that is no progress says, in one line; empty where it says nothing."""
    if isinstance(event, Note):
        return f"  {event.text}"
    if isinstance(event, Warned):
        return f"warning: {event.text}"
    if isinstance(event, Finished):
        summary = f"  {event.summary}" if event.summary else ""
        return f"{event.work}: {duration(event.seconds)}{summary}"
    return ""


def fit_line(event: Progress, width: int | None = None) -> str:
    """Return progress as one line of at most `width` columns: what does not fit is left out, the least first.

    The name, the share that is done and the time that is left always stand there, from 60 characters on.
    """
    name = say(event.work)
    if width is not None and _columns(name) > NAME:
        name = name[: next(end for end in range(len(name), -1, -1) if _columns(name[:end]) < NAME)] + "…"
    of = f"/{number(event.total)}" if event.total else ""
    parts = [name]
    if event.total:
        parts.append(f"{min(100.0, 100 * event.done / event.total):3.0f} %")
    if event.seconds_left is not None:
        parts.append(f"{duration(event.seconds_left)} left")
    parts.append(f"{number(event.done)}{of} {event.unit}")
    parts += [f"{key} {number(value)}" for key, value in event.values.items()]
    if event.rate:
        parts.append(f"{number(event.rate)} {event.unit}/s")
    line = parts[0]
    for part in map(say, parts[1:]):
        if width is not None and _columns(line) + 2 + _columns(part) > width:
            break
        line += f"  {part}"
    return line


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for each Chinese letter."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


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
