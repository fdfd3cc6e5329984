"""What is taken out of a record before it is compared: places on this machine, seconds, memory that was free.

Floats stay as they are: JSON writes the shortest text that gives the same bits again.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["UNSTABLE", "Scrubber"]

UNSTABLE = {"seconds", "seconds_train", "seconds_per_step", "ms_per_item", "finished_at", "created", "started"}
"""Keys whose values are times, wherever they stand."""
_TEMPORARY = re.compile(rf"{re.escape(tempfile.gettempdir())}/[\w.\-]+")
_HOME = re.compile(r"/[\w./\-]+/home/cache/")
"""The cache of an older side whose folder was moved since."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_DATE = re.compile(r"\b20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?")
_PORT = re.compile(r"127\.0\.0\.1:\d+")


class Scrubber:
    """Makes a value plain JSON without what may differ between two runs of the same code."""

    def __init__(self, *, work: Path, tree: Path, before: Path) -> None:
        home = Path(os.environ["DIZUO_HOME"])
        named = [(work, "WORK"), (tree, "TREE"), (home, "HOME"), (before / "home", "HOME"), (before, "BEFORE")]
        self.places = [(str(path), name) for path, name in named]

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {self._text(str(key)): self(item) for key, item in value.items() if key not in UNSTABLE}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
            return {"(class)": type(value).__name__, **self(fields)}
        if isinstance(value, set | frozenset):
            return sorted(map(self, value), key=repr)
        if isinstance(value, list | tuple):
            return [self(item) for item in value]
        if isinstance(value, Path | str):
            return self._text(str(value))
        if isinstance(value, float) and not math.isfinite(value):
            return repr(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._text(repr(value))

    def _text(self, text: str) -> str:
        for place, name in self.places:
            text = text.replace(place, name)
        text = _HOME.sub("HOME/cache/", text)
        text = _TEMPORARY.sub("TEMPORARY", text)
        text = _ADDRESS.sub("", text)
        return _PORT.sub("127.0.0.1:PORT", _DATE.sub("DATE", text))
