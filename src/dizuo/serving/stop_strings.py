"""Stop strings cut an answer that is still growing, wherever its pieces are divided.

What may still become a stop string is held back until the next pieces decide.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["StopStrings"]


class StopStrings:
    """Cuts a growing text at the first stop string; the stop string itself is not shown.

    Args:
        stops: the strings, none of them empty; there may be none.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False
        """Whether a stop string has come; nothing is shown after it."""

    def add(self, text: str) -> str:
        """Return the text that can no longer be part of a stop string; set `found` at the first one."""
        if self.found:
            return ""
        self._held += text
        starts = [start for start in (self._held.find(stop) for stop in self._stops) if start >= 0]
        if starts:
            self.found = True
            shown, self._held = self._held[: min(starts)], ""
            return shown
        kept = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        cut = len(self._held) - kept
        shown, self._held = self._held[:cut], self._held[cut:]
        return shown

    def finish(self) -> str:
        """Return the text that was held back and never became a stop string."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest end of `text` that is a beginning of `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
