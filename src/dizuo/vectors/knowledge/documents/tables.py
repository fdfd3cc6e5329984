"""`Table` makes lines of a table's cells: one line per row, cells apart by tabs, merged cells in every row they cover.

Readers of HTML and DOCX fill it, row by row.
"""

from __future__ import annotations

__all__ = ["Table"]

_REPEATED = 200
"""Characters. A longer text of a merged cell stands in its first row only: repeated, it could fill the memory."""


class Table:
    """The rows of a table while they are read."""

    def __init__(self) -> None:
        self._row: list[str] = []
        self._column = 0
        self._latest: dict[int, str] = {}
        self._spanning: dict[int, tuple[str, int, int]] = {}

    @property
    def is_spanned(self) -> bool:
        """Whether cells from above reach into the row."""
        return bool(self._spanning)

    def cell(self, text: str, *, columns: int = 1, rows: int = 1) -> None:
        """Add the next cell of the row.

        Args:
            text: white space in it becomes single spaces.
            columns: that it covers.
            rows: that it covers; its text is repeated in those below.
        """
        self._pass_spanning_cells()
        text = " ".join(text.split())
        self._row.append(text)
        self._latest[self._column] = text
        if rows > 1:
            self._spanning[self._column] = (text, rows - 1, columns)
        self._column += columns

    def repeat(self, *, columns: int = 1) -> None:
        """Add a cell that goes on from the row above, whose text it has."""
        self.cell(_shorten(self._latest.get(self._column, "")), columns=columns)

    def skip(self, columns: int) -> None:
        """Leave columns of the row without a cell."""
        self._column += columns

    def end_row(self) -> str:
        """Return the line of the row, and begin the next one."""
        self._pass_spanning_cells()
        for column in sorted(self._spanning):
            if column >= self._column:
                self._repeat_spanning(column)
        line = "\t".join(self._row)
        self._row, self._column = [], 0
        return line if line.strip() else ""

    def _pass_spanning_cells(self) -> None:
        while self._column in self._spanning:
            self._column += self._repeat_spanning(self._column)

    def _repeat_spanning(self, column: int) -> int:
        """Put the text of a cell from above into the row, and return the columns that it covers."""
        text, rows, columns = self._spanning.pop(column)
        self._row.append(_shorten(text))
        if rows > 1:
            self._spanning[column] = (text, rows - 1, columns)
        return columns


def _shorten(text: str) -> str:
    return text if len(text) <= _REPEATED else ""
