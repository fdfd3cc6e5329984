"""Every row can be written as tokens: a row that a template refuses would be missing from the run without a word."""

from __future__ import annotations

from dizuo.training.doctor import Check, Finding, Subject, green, red


def check(subject: Subject) -> Finding:
    """Look for rows that the method or the model's template refused."""
    wrong = [row for row in subject.rows if row.error]
    if not wrong:
        return green(f"{len(subject.rows):,} rows")
    return red(
        f"{len(wrong):,} of {len(subject.rows):,} rows cannot be",
        meaning="These rows cannot be trained; training does not start while they are there.",
        lines=[f"{row.place}: {row.error}" for row in wrong],
        hint="fix or remove them; where all rows have one fault, it is the model's template or the method",
    )


CHECK = Check(title="every row can be written as tokens", trap=3, check=check)
