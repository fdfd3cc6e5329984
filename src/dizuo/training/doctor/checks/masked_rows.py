"""No row is masked as a whole: it would cost time, teach nothing, and divide by zero where it stands alone."""

from __future__ import annotations

from dizuo.training.doctor import Check, Finding, Subject, green, red, skipped


def check(subject: Subject) -> Finding:
    """Look for rows none of whose sequences has a weight."""
    if not subject.trains_tokens:
        return skipped("the method trains a head on the last states, not tokens")
    written = [row for row in subject.rows if row.sequences]
    masked = [row for row in written if not all((sequence.weights > 0).any() for sequence in row.sequences)]
    untaught = [row for row in subject.rows if row.error and "is trained" in row.error]
    if not masked and not untaught:
        return green(f"{len(written):,} rows")
    return red(
        f"{len(masked) + len(untaught):,} of {len(subject.rows):,} rows have none",
        meaning="Every token of these rows is context. They teach nothing, and a batch of them has no loss at all.",
        lines=[f"{row.place}: {row.error or 'every token has weight 0'}" for row in (*masked, *untaught)],
        hint="give each row an assistant turn with a weight above 0, or remove it; a method of your own must put a "
        "weight on what it trains",
    )


CHECK = Check(title="every row has a token to train", trap=3, check=check)
