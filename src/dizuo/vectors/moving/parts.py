"""What is read of a file at a time: records, and for each the row that it stands in; and the rows that are no records.

Rows are counted from 1 in every file, as people do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dizuo.vectors.points import Block
from dizuo.vectors.protocol.errors import SHOWN
from dizuo.vectors.scores import Metric
from dizuo.vectors.writing.checking import id_fault, vector_faults

__all__ = ["BadRow", "Part", "list_bad_rows"]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a file that is no record which a store can hold."""

    file: str
    row: int
    """Counted from 1."""
    id: str | None
    """None where the row has none."""
    reason: str

    def __str__(self) -> str:
        name = "" if self.id is None else f" ({self.id!r})"
        return f"{self.file}, row {self.row:,}{name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of one file, in their order."""

    file: str
    rows: Sequence[int]
    """The row of each record, counted from 1."""
    block: Block
    """The records, with all columns; as many as `rows`."""
    bad: list[BadRow] = field(default_factory=list)
    """Rows that are no records."""
    namespace: str | None = None
    """Where the records come from; None where the file does not say."""

    def take(self, places: Sequence[int]) -> Part:
        """Return some of the records."""
        rows = [self.rows[place] for place in places]
        return Part(self.file, rows, self.block.take(places), self.bad, self.namespace)

    def check(self, metric: Metric) -> Part:
        """Return the records that a store of this metric can hold; the others are among the bad rows then."""
        faults = dict(vector_faults(self.block.vectors, metric))
        for place, id in enumerate(self.block.ids):
            if fault := id_fault(id):
                faults[place] = fault
        if not faults:
            return self
        ids = self.block.ids
        more = [BadRow(self.file, self.rows[place], ids[place], faults[place]) for place in sorted(faults)]
        kept = self.take([place for place in range(len(ids)) if place not in faults])
        return Part(
            kept.file, kept.rows, kept.block, sorted([*self.bad, *more], key=lambda bad: bad.row), self.namespace
        )


def list_bad_rows(bad: Sequence[BadRow], total: int | None = None) -> list[str]:
    """Return one line per bad row, at most ten, and how many more there are of `total`."""
    more = (len(bad) if total is None else total) - SHOWN
    return [*map(str, bad[:SHOWN]), *([f"… and {more:,} more"] if more > 0 else [])]
