"""The one-line verdict of a report: did tuning help, and was a language model needed?

A difference counts when the paired test says p < 0.05; else the line says that it cannot be told. Where items are so
few that no outcome could be significant, it says so.
"""

from __future__ import annotations

from collections.abc import Sequence

from dizuo.evaluation.reporting.report import Row
from dizuo.significance import minimum_detectable_effect, smallest_p

__all__ = ["verdict"]

LEVEL = 0.05


def verdict(rows: Sequence[Row], *, metric: str) -> str:
    """Return one or two sentences about the tuned model, or about the untuned one where nothing was tuned."""
    by_name = {row.name: row for row in rows}
    tuned, untuned = by_name.get("tuned"), by_name.get("untuned")
    cheap = max((row for row in rows if row.family == "cheap"), key=lambda row: row.score, default=None)
    if tuned is None:
        return _untuned_only(untuned, cheap, metric)
    first = _against_untuned(tuned, untuned, metric)
    second = _against_cheap(tuned, cheap)
    third = _as_served(by_name.get("served"))
    return " ".join(part for part in (first, second, third) if part)


def _untuned_only(untuned: Row | None, cheap: Row | None, metric: str) -> str:
    if untuned is None:
        return "Nothing was tuned; the rows are cheap baselines." if cheap else "There is nothing to compare."
    line = f"Nothing was tuned. The model as it came reaches {_percent(untuned.score)} {metric}"
    if cheap is None:
        return f"{line}."
    return f"{line}; {cheap.title} reaches {_percent(cheap.score)}."


def _against_untuned(tuned: Row, untuned: Row | None, metric: str) -> str:
    head = f"The tuned model reaches {_percent(tuned.score)} {metric} on {_items(tuned.n)}"
    if untuned is None or tuned.vs_untuned is None or tuned.p_vs_untuned is None:
        return f"{head}."
    gain, p = tuned.vs_untuned[0], tuned.p_vs_untuned
    if _too_few(tuned, untuned):
        return (
            f"{head}, {_percent(untuned.score)} before tuning: {_items(min(tuned.n, untuned.n))} are too few to say "
            "whether that is chance."
        )
    if p >= LEVEL:
        return (
            f"Tuning made no difference that {_items(tuned.n)} can show: {_percent(tuned.score)} {metric} after, "
            f"{_percent(untuned.score)} before ({_p(p)})."
        )
    if gain > 0:
        return f"{head}, {_points(gain)} more than before tuning ({_p(p)})."
    return f"Tuning made it worse: {_percent(tuned.score)} {metric} after, {_percent(untuned.score)} before ({_p(p)})."


def _against_cheap(tuned: Row, cheap: Row | None) -> str:
    if cheap is None or tuned.vs_best_cheap is None or tuned.p_vs_best_cheap is None:
        return ""
    gain, p = tuned.vs_best_cheap[0], tuned.p_vs_best_cheap
    cost = _cost(cheap)
    if _too_few(tuned, cheap):
        return f"{cheap.title} reaches {_percent(cheap.score)}{cost}."
    if p < LEVEL and gain > 0:
        return f"It beats {cheap.title} ({_percent(cheap.score)}) by {_points(gain)} ({_p(p)})."
    if p < LEVEL:
        return (
            f"{cheap.title} is better, by {_points(-gain)} ({_percent(cheap.score)}, {_p(p)}){cost}: "
            "for this task the cheap model wins."
        )
    return (
        f"It cannot be told from {cheap.title} ({_percent(cheap.score)}, {_p(p)}){cost}: for this task alone the cheap "
        f"one would do{_blind(tuned, cheap)}."
    )


def _as_served(served: Row | None) -> str:
    """Say that what is served is not what was scored, where the items show it."""
    if served is None or served.p_vs_scored is None or (scored := served.otherwise_scored) is None:
        return ""
    return (
        f"Served, it is another model: {_percent(served.score)} against {_percent(scored)} "
        f"as scored on the same {_items(served.n)} ({_p(served.p_vs_scored)})."
    )


def _too_few(row: Row, other: Row) -> bool:
    """Return whether no outcome on the items that both have could be significant."""
    return smallest_p(min(row.n, other.n)) >= LEVEL


def _items(n: int) -> str:
    return f"{n:,} item{'s' if n != 1 else ''}"


def _blind(tuned: Row, cheap: Row) -> str:
    """Say how small a difference this many items would show."""
    if tuned.interval not in ("wilson", "clopper-pearson"):
        return ""
    # Independent errors are the most that two rows of these scores disagree by chance.
    share = tuned.score * (1 - cheap.score) + cheap.score * (1 - tuned.score)
    if not 0 < share < 1:
        return ""
    effect = minimum_detectable_effect(tuned.n, discordant=share)
    return f" ({tuned.n:,} items show a difference from about {_points(effect)} on)"


def _cost(cheap: Row) -> str:
    if cheap.seconds_train is None or cheap.mb_on_disk is None:
        return ""
    seconds = "under a second" if cheap.seconds_train < 1 else f"{cheap.seconds_train:,.0f} s"
    size = "under 1 MB" if cheap.mb_on_disk < 1 else f"{cheap.mb_on_disk:,.0f} MB"
    return f", which trains in {seconds} and takes {size}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f} points"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"
