"""The gate: what a report must show before the tuned model is deployed."""

from __future__ import annotations

from dizuo.evaluation.reporting.report import Report, Row
from dizuo.significance import smallest_p

__all__ = ["unmet"]

LEVEL = 0.05


def unmet(
    report: Report,
    *,
    better_than_untuned: bool = True,
    better_than_baselines: bool = False,
    min_score: float | None = None,
) -> tuple[str, ...]:
    """Return the requirements that a report does not meet, one line each with the figures; empty when it passes.

    A report on training rows meets none: they were learned by heart. Whatever is asked for, a model that answers
    otherwise as served than as scored is not deployed: on the same items, the paired test says p < 0.01.

    Args:
        report: of the tuned model.
        better_than_untuned: it scores higher than the untuned model, and the paired test says p < 0.05.
        better_than_baselines: the same against the best cheap baseline.
        min_score: lowest score, 0 to 1.
    """
    tuned = report.tuned
    if tuned is None:
        return ("the report has no row of a tuned model",)
    if report.split == "train" and (better_than_untuned or better_than_baselines or min_score is not None):
        return ("the report was made on the training rows, which says nothing about others: evaluate on test",)
    reasons = _served_otherwise(tuned, report.row("served"), report.metric)
    if better_than_untuned:
        reasons += _better(tuned, tuned.p_vs_untuned, tuned.vs_untuned, report.untuned, "untuned model", report.metric)
    if better_than_baselines:
        reasons += _better(
            tuned, tuned.p_vs_best_cheap, tuned.vs_best_cheap, report.best_cheap, "best cheap baseline", report.metric
        )
    if min_score is not None and tuned.score < min_score:
        reasons.append(f"{report.metric} is {tuned.score:.3f}, and must be at least {min_score:.3f} ({_on(tuned)})")
    return tuple(reasons)


def _served_otherwise(tuned: Row, served: Row | None, metric: str) -> list[str]:
    if served is None or (scored := served.otherwise_scored) is None:
        return []
    return [
        f"as served the model is not what was scored: {metric} is {served.score:.3f} as served and {scored:.3f} as "
        f"scored, on the same {_on(served)} (p = {served.p_vs_scored:.2g}); dizuo doctor looks for the reason"
    ]


def _better(
    tuned: Row, p: float | None, gain: tuple[float, float, float] | None, other: Row | None, what: str, metric: str
) -> list[str]:
    if other is None or p is None or gain is None:
        return [f"the tuned model was not compared with the {what}: the report has no such row"]
    if gain[0] <= 0:
        return [
            f"{metric} is {tuned.score:.3f}, not higher than {other.score:.3f} of the {what} "
            f"({other.title}, {_on(tuned)})"
        ]
    if smallest_p(min(tuned.n, other.n)) >= LEVEL:
        fewer = min(tuned, other, key=lambda row: row.n)
        return [f"{_on(fewer)} are too few to say whether the model is better than the {what} ({other.title})"]
    if p >= LEVEL:
        return [
            f"{metric} is {tuned.score:.3f} against {other.score:.3f} of the {what} ({other.title}), which may be "
            f"chance (p = {p:.2g}, {_on(tuned)})"
        ]
    return []


def _on(row: Row) -> str:
    return f"{row.n:,} item{'s' if row.n != 1 else ''}"
