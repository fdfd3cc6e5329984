"""Finds columns that hold few values, each in many rows: they may be what a user wants to be learnt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dizuo.data.reading.files import Cells
from dizuo.records import Json

__all__ = ["Values"]

MOST = 100
"""Values of a column from which it is no label."""
LONG = 60
"""Characters from which a value is a text and no label."""
EACH = 3
"""Rows that a value must have on average."""
SHOWN = 6
_ABOUT = re.compile(
    r"id|.*_id|uid|uuid|index|idx|no|nr|number|row|编号|序号|lang|language|locale|语言|source|origin|dataset|subset|split"
    r"|fold|url|uri|link|domain|host|site|来源|出处|date|time|timestamp|year|month|day|created.*|updated.*|.*_at|日期"
    r"|时间|年份|license|licence|author|user|annotator|version|file|filename|path|hash|md5|sha256|score|length|len|tokens",
    re.IGNORECASE,
)
"""Names of columns that say where a row comes from, not what it is."""


@dataclass(slots=True)
class Values:
    """Counts the values of each column until there are too many, or one that is no label."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    _dropped: set[str] = field(default_factory=set)

    def add(self, row: Cells) -> None:
        """Add one row."""
        for key, value in row.items():
            if key not in self._dropped:
                self._count(key, value)

    def label_columns(self, keys: Collection[str]) -> Mapping[str, str]:
        """Return those of the columns that may hold a label, in the file's order, each with its values in words."""
        return {
            key: _shown(counts)
            for key, counts in self.counts.items()
            if key in keys and len(counts) > 1 and counts.total() >= EACH * len(counts) and not _ABOUT.fullmatch(key)
        }

    def _count(self, key: str, value: Json) -> None:
        counts = self.counts.setdefault(key, Counter())
        if isinstance(value, str | int) and len(text := str(value)) < LONG:
            counts[text] += 1
        elif value is not None:
            self._drop(key)
            return
        if len(counts) > MOST:
            self._drop(key)

    def _drop(self, key: str) -> None:
        self._dropped.add(key)
        del self.counts[key]


def _shown(counts: Counter[str]) -> str:
    named = ", ".join(f"{value!r} ({count:,} rows)" for value, count in counts.most_common(SHOWN))
    return f"{named} and {len(counts) - SHOWN:,} more" if len(counts) > SHOWN else named
