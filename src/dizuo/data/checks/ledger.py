"""The account of every row: rows read = rows kept + rows removed, by reason. No row is counted twice or forgotten.

Removed rows are written to `removed.jsonl` as they are decided, with file, line and reason; the ledger keeps the
counts and the first few of each. An account that does not add up is a bug of ours, and stops the work.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from dizuo.data.card import Account, Removed

__all__ = ["REASONS", "Ledger"]

REASONS = {
    "quarantined": "could not be read as the format",
    "duplicates": "reads the same as an earlier row, with the same answer",
    "conflicts": "reads the same as another row, with another answer",
    "leaks": "stands in the test or validation rows",
    "merged": "a further answer to a prompt of the test or validation rows, kept there as a reference",
    "unused": "beyond the number of training rows asked for",
}
SHOWN = 20
"""Rows listed in the card for each reason; all of them are in removed.jsonl."""


class Ledger:
    """Counts rows and writes down why each removed one was removed."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self.read = 0
        self.kept = 0
        self.shortened = 0
        self.counts: Counter[str] = Counter()
        self.shown: list[Removed] = []

    def remove(self, why: str, *, file: str, line: int | None, reason: str, path: str = "", identity: str = "") -> None:
        """Account for one row that is in no split."""
        assert why in REASONS, why
        self.counts[why] += 1
        if why == "unused":
            return
        removed = Removed(why, file, line, reason, path)
        if self.counts[why] <= SHOWN:
            self.shown.append(removed)
        self._file.write(json.dumps({**removed.to_json(), "id": identity}, ensure_ascii=False, sort_keys=True) + "\n")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def account(self) -> Account:
        """Return the account for the card.

        Raises:
            AssertionError: it does not add up.
        """
        removed = {why: self.counts[why] for why in REASONS}
        assert self.read == self.kept + sum(removed.values()), f"{self.read} rows read, {self.kept} kept, {removed}"
        return Account(self.read, self.kept, removed, self.shortened, tuple(self.shown))
