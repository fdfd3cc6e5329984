"""The account of every row: in = kept + what was removed, by reason.

Removed rows are written to `removed.jsonl` as they are decided, with file, line and reason; the ledger keeps the
counts and the first few of each. An account that does not add up is a bug of ours, and stops the work.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

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
        self.shown: list[dict[str, Any]] = []

    def remove(self, why: str, *, file: str, line: int | None, reason: str, path: str = "", identity: str = "") -> None:
        """Account for one row that is in no split."""
        assert why in REASONS, why
        self.counts[why] += 1
        entry = {"why": why, "file": file, "line": line, **({"path": path} if path else {}), "reason": reason}
        if why != "unused":
            if self.counts[why] <= SHOWN:
                self.shown.append(entry)
            self._file.write(json.dumps({**entry, "id": identity}, ensure_ascii=False, sort_keys=True) + "\n")

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def account(self) -> dict[str, Any]:
        """Return the account for the card.

        Raises:
            AssertionError: it does not add up.
        """
        removed = sum(self.counts.values())
        assert self.read == self.kept + removed, f"{self.read} rows read, {self.kept} kept, {dict(self.counts)}"
        return {
            "read": self.read,
            "kept": self.kept,
            **{why: self.counts[why] for why in REASONS},
            "shortened": self.shortened,
            "reasons": self.shown,
        }
