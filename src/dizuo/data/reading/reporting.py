"""Reports the bad rows of a data set: each with its place, its reason, and its corrected line where there is one."""

from __future__ import annotations

import json

from dizuo.data import readers
from dizuo.data.options import PrepareOptions
from dizuo.data.reading import detection
from dizuo.data.reading.columns import Columns
from dizuo.data.reading.correcting import as_line, correct, correct_text
from dizuo.data.reading.files import Fault
from dizuo.data.reading.sources import Part
from dizuo.data.reading.staging import Staged
from dizuo.errors import DataError

__all__ = ["corrected_line", "report_faults"]

SHOWN = 20
"""Bad rows listed in an error."""


def report_faults(
    parts: list[Part], staged: Staged, format_name: str, columns: Columns, options: PrepareOptions
) -> DataError:
    """Return the error that lists the bad rows, each with its corrected line where there is one."""
    bad, total = len(staged.faults), len(staged.faults) + len(staged)
    single = len(parts) == 1
    names = f"{parts[0].source.name}" if single else f"{len(parts)} files"
    details = []
    for number, fault in staged.faults[:SHOWN]:
        file = fault.file or ("" if single else parts[number].source.name)
        details.append(f"{_place(fault, file, counts_rows=_counts_rows(parts[number]))}: {fault.reason}")
        if line := corrected_line(fault, parts[number], format_name, columns, options):
            details.append(f"  corrected: {line}")
    if bad > SHOWN:
        details.append(f"and {bad - SHOWN:,} more")
    rows = "row" if bad == 1 else "rows"
    has = "has" if single else "have"
    return DataError(
        f"{names} {has} {bad:,} bad {rows} of {total:,}",
        details=details,
        hint="fix the rows, or keep going without them with --quarantine bad_rows.jsonl",
    )


def corrected_line(fault: Fault, part: Part, format_name: str, columns: Columns, options: PrepareOptions) -> str:
    """Return a bad row as its user may have meant it, ready to paste; empty where that is not clear.

    Args:
        fault: the row; a place inside a row (of a document that holds several) has no line of its own.
        part: its source.
        format_name: the format that refuses it.
        columns: finds its columns.
        options: as it was read with.
    """
    if not fault.raw or fault.path or fault.file or _counts_rows(part):
        return ""
    fmt = detection.load(format_name)
    try:
        value = json.loads(fault.raw)
    except ValueError:
        row = correct_text(fault.raw, fmt, columns, options)
    else:
        row = correct(value, fmt, columns, options) if isinstance(value, dict) else None
    return as_line(row, str(part.source.notes.get("delimiter", ""))) if row is not None else ""


def _place(fault: Fault, file: str, *, counts_rows: bool) -> str:
    """Return where a bad row stands, as in `line 17`, `a.csv:17`, `data[3].qas[1]` or `line 3: qas[1]`."""
    line = "" if fault.line is None else f"{fault.line:,}"
    if fault.file or not line:
        parts = [file]
    elif file:
        parts = [f"{file}:{line}"]
    else:
        parts = [f"{'row' if counts_rows else 'line'} {line}"]
    return ": ".join(part for part in (*parts, fault.path) if part)


def _counts_rows(part: Part) -> bool:
    """Return whether a part counts rows because its format has no lines."""
    return any(part.source.suffix in reader.suffixes for reader in readers.READERS.all().values() if reader.is_table)
