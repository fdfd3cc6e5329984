"""The charts of our pages, drawn as text: intervals, lines, reliability, bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dizuo.pages.svg import label_ticks, path, svg, tag, text, ticks

__all__ = [
    "histogram", "interval", "interval_axis", "lines", "loss", "reliability", "share", "shares_over_shares", "slope",
    "throughput",
]  # fmt: skip

FOOT = 22.0
"""Pixels under a plot for the labels of its x axis."""
HEAD = 14.0
LEFT, RIGHT = 13.0, 2.0
"""Percent of a chart's width that the labels of its y axis have to themselves, and that stay free on the right."""


def interval(low: float, score: float, high: float, *, family: str, label: str, least: float = 0.0) -> Markup:
    """Return one row of the score chart: a bar from low to high and a dot at the score, on a scale to 1."""
    to_x = _percent_scale(least)
    height = 28.0
    middle = height / 2
    return svg(
        *(tag("line", x1=f"{to_x(t)}%", x2=f"{to_x(t)}%", y1=0, y2=height, class_="grid") for t in _grid(least)),
        tag(
            "line", x1=f"{to_x(low):.2f}%", x2=f"{to_x(high):.2f}%", y1=middle, y2=middle, class_=f"range {family}"
        ),
        tag("circle", tag("title", label), cx=f"{to_x(score):.2f}%", cy=middle, r=5.5, class_=f"dot {family}"),
        height=height,
        label=label,
        class_="chart interval",
    )  # fmt: skip


def interval_axis(*, least: float = 0.0) -> Markup:
    """Return the axis under rows of `interval`."""
    to_x = _percent_scale(least)
    marks = _grid(least)
    labels = [
        text(f"{100 * t:.0f} %", x=to_x(t), y=14, class_="tick", anchor=_anchor(to_x(t))) for t in marks
    ]  # fmt: skip
    return svg(*labels, height=18, label="score", class_="chart axis")


def loss(lines_: Sequence[Mapping[str, Any]]) -> Markup:
    """Return the loss over steps: every step faint, smoothed strong, the validation loss as a line with dots."""
    train = [(float(line["step"]), float(line["loss"])) for line in lines_ if "loss" in line]
    held = [(float(line["step"]), float(line["validation_loss"])) for line in lines_ if "validation_loss" in line]
    if not train and not held:
        return Markup("")
    height = 240.0
    values = [value for _, value in (*train, *held)]
    steps = [step for step, _ in (*train, *held)]
    logarithmic = min(values) > 0 and max(values) / min(values) > 15
    to_y = _axis(0.0 if not logarithmic else min(values), max(values), height, logarithmic=logarithmic)
    across = _across(min(steps), max(steps))
    marks = _log_ticks(min(values), max(values)) if logarithmic else ticks(0, max(values), count=4)
    parts = [_rules(marks, to_y), _foot(min(steps), max(steps), across, height, "step")]
    parts.append(path([(across(s), to_y(v)) for s, v in train], height=height, class_="line tuned faint"))
    parts.append(path([(across(s), to_y(v)) for s, v in _smoothed(train)], height=height, class_="line tuned"))
    parts.append(path([(across(s), to_y(v)) for s, v in held], height=height, class_="line held"))
    parts += [
        tag("circle", tag("title", f"step {s:,.0f}: validation {v:.4f}"), cx=f"{across(s):.2f}%", cy=to_y(v), r=3.5,
            class_="dot held")
        for s, v in held
    ]  # fmt: skip
    parts.append(_names(marks, label_ticks(marks), to_y))
    return svg(*parts, height=height + FOOT, label="training loss over steps")


def lines(series: Mapping[str, Mapping[str, Any]], *, x: str) -> Markup:
    """Return scores over a count on a logarithmic axis; per series `points` [[count, score, low, high]]."""
    points = [point for curve in series.values() for point in curve["points"]]
    if not points:
        return Markup("")
    height = 240.0
    counts = sorted({float(point[0]) for point in points if point[0] > 0}) or [1.0]
    low, high = counts[0] / 1.25, counts[-1] * 1.25
    floor = _least([float(point[2]) for point in points])
    to_y = _axis(floor, 1.0, height)

    def across(count: float) -> float:
        if count <= 0:
            return LEFT  # "without training" stands at the left edge
        return LEFT + 7.0 + (100 - LEFT - 7.0 - RIGHT) * math.log(count / low) / math.log(high / low)

    marks = ticks(floor, 1.0, count=4)
    parts = [_rules(marks, to_y), _stubs([across(count) for count in counts], height)]
    parts += [
        text(f"{c:,.0f}", x=across(c), y=height + 16, class_="tick", anchor=_anchor(across(c)))
        for c in _thinned(counts, across)
    ]
    drawn: list[list[tuple[float, float]]] = []
    for name, curve in series.items():
        kind = curve.get("family", name)
        spots = [(across(p[0]), to_y(p[1]), to_y(p[2]), to_y(p[3]), p) for p in curve["points"]]
        parts.append(_line([(cx, cy) for cx, cy, *_ in spots], height, kind, drawn))
        for cx, cy, y_low, y_high, p in spots:
            said = f"{curve['title']}, {p[0]:,.0f} rows: {100 * p[1]:.1f} % ({100 * p[2]:.1f}–{100 * p[3]:.1f})"
            parts.append(tag("line", x1=f"{cx:.2f}%", x2=f"{cx:.2f}%", y1=y_low, y2=y_high, class_=f"whisker {kind}"))
            parts.append(tag("circle", tag("title", said), cx=f"{cx:.2f}%", cy=cy, r=4.5, class_=f"dot {kind}"))
    parts.append(_names(marks, [f"{100 * t:.0f} %" for t in marks], to_y))
    return svg(*parts, height=height + FOOT, label=f"score over {x}")


def reliability(bins: Sequence[Mapping[str, Any]], *, family: str, label: str) -> Markup:
    """Return stated confidence against what came true, with the number of answers per bin below."""
    height, below = 230.0, 44.0
    to_y = _axis(0.0, 1.0, height)
    marks = [0.0, 0.25, 0.5, 0.75, 1.0]
    across = _across(0.0, 1.0)
    parts = [_rules(marks, to_y)]
    parts.append(path([(across(0), to_y(0)), (across(1), to_y(1))], height=height, class_="line diagonal"))
    most = max((int(bucket["n"]) for bucket in bins), default=1)
    spots = []
    for bucket in bins:
        x = across(bucket["low"])
        width = across(bucket["high"]) - x
        said = (
            f"{bucket['n']:,} answers of confidence {100 * bucket['low']:.0f}–{100 * bucket['high']:.0f} %: "
            f"{100 * bucket['accuracy']:.0f} % right"
        )
        size = below * bucket["n"] / most
        parts.append(
            tag("rect", tag("title", said), x=f"{x + 0.6:.2f}%", width=f"{width - 1.2:.2f}%",
                y=height + 6 + below - size, height=max(1.0, size), class_=f"bar {family} soft")
        )  # fmt: skip
        cx, cy = across(bucket["confidence"]), to_y(bucket["accuracy"])
        spots.append((cx, cy, to_y(bucket["accuracy_low"]), to_y(bucket["accuracy_high"]), said))
    parts.append(path([(cx, cy) for cx, cy, *_ in spots], height=height, class_=f"line {family}"))
    for cx, cy, low, high, said in spots:
        parts.append(tag("line", x1=f"{cx:.2f}%", x2=f"{cx:.2f}%", y1=low, y2=high, class_=f"whisker {family}"))
        parts.append(tag("circle", tag("title", said), cx=f"{cx:.2f}%", cy=cy, r=4.5, class_=f"dot {family}"))
    parts.append(_names(marks, [f"{100 * t:.0f} %" for t in marks], to_y))
    foot = height + below + 22
    parts += [
        text(f"{100 * t:.0f} %", x=across(t), y=foot, class_="tick", anchor=_anchor(across(t))) for t in (0.0, 0.5, 1.0)
    ]
    return svg(*parts, height=foot + 6, label=label)


def slope(before: float | None, after: float | None, *, label: str) -> Markup:
    """Return one row that leads from a share before to a share after."""
    height, middle = 22.0, 11.0
    parts = [tag("line", x1="0%", x2="100%", y1=middle, y2=middle, class_="grid")]
    if before is not None and after is not None:
        kind = "gain" if after >= before else "loss"
        parts.append(
            tag("line", x1=f"{_inset(before):.2f}%", x2=f"{_inset(after):.2f}%", y1=middle, y2=middle,
                class_=f"range {kind}")
        )  # fmt: skip
    if before is not None:
        parts.append(tag("circle", cx=f"{_inset(before):.2f}%", cy=middle, r=4.5, class_="dot untuned"))
    if after is not None:
        parts.append(tag("circle", cx=f"{_inset(after):.2f}%", cy=middle, r=5.5, class_="dot tuned"))
    return svg(tag("title", label), *parts, height=height, label=label, class_="chart interval")


def share(count: float, most: float, *, family: str, label: str) -> Markup:
    """Return one row of a bar chart: `most` fills the width."""
    width = max(0.4, 100 * count / max(1, most))
    bar = tag("rect", tag("title", label), x="0", y=3, width=f"{width:.2f}%", height=10, rx=2, class_=f"bar {family}")
    return svg(bar, height=16, label=label, class_="chart interval")


def histogram(bins: Sequence[Sequence[float]], *, unit: str, marks: Mapping[str, float]) -> Markup:
    """Return a histogram of [low, high, count] with named values as lines."""
    if not bins:
        return Markup("")
    height = 136.0
    low, high = float(bins[0][0]), float(bins[-1][1])
    most = max(float(bucket[2]) for bucket in bins) or 1.0
    across = _across(low, high, left=0, right=0)
    parts = [tag("line", x1="0%", x2="100%", y1=height, y2=height, class_="grid")]
    for a, b, count in bins:
        size = (height - 34) * count / most
        width = across(b) - across(a)
        parts.append(
            tag("rect", tag("title", f"{a:,.0f}–{b:,.0f} {unit}: {count:,.0f} rows"), x=f"{across(a) + 0.15:.2f}%",
                width=f"{max(0.3, width - 0.3):.2f}%", y=height - size, height=size, class_="bar tuned")
        )  # fmt: skip
    for row, (name, value) in enumerate(sorted(marks.items(), key=lambda pair: pair[1])):
        x, y = across(value), 12 + 14 * row
        right = x > 70
        parts.append(tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1=y - 8, y2=height, class_="mark"))
        parts.append(
            text(
                f"{name} {value:,.0f}",
                x=x,
                y=y,
                class_="tick",
                dx=-4 if right else 4,
                anchor="end" if right else "start",
            )
        )
    parts += [
        text(f"{low:,.0f}", x=0, y=height + 16, class_="tick"),
        text(f"{high:,.0f} {unit}", x=100, y=height + 16, class_="tick", anchor="end"),
    ]
    return svg(*parts, height=height + FOOT, label=f"histogram of {unit}")


Curve = tuple[str, str, Sequence[tuple[float, ...]]]
"""Name, family, and points."""


def throughput(curves: Sequence[Curve]) -> Markup:
    """Return latency (p95, milliseconds) over searches a second, both logarithmic; points (per second, ms, threads)."""
    points = [point for _, _, curve in curves for point in curve]
    if not points:
        return Markup("")
    height = 300.0
    low, high = min(p[1] for p in points) / 1.3, max(p[1] for p in points) * 1.3
    left, right = math.log(min(p[0] for p in points) / 1.15), math.log(max(p[0] for p in points) * 1.15)
    to_y = _axis(low, high, height, logarithmic=True)

    def across(rate: float) -> float:
        return LEFT + (100 - LEFT - RIGHT) * (math.log(rate) - left) / ((right - left) or 1.0)

    marks = _log_ticks(low, high) or [points[0][1]]
    rates = _log_ticks(math.exp(left), math.exp(right)) or [points[0][0]]
    parts = [_rules(marks, to_y), _stubs([across(rate) for rate in rates], height)]
    drawn: list[list[tuple[float, float]]] = []
    parts += [
        text(f"{rate:,.10g} a second", x=across(rate), y=height + 16, class_="tick", anchor=_anchor(across(rate)))
        for rate in _thinned(rates, across)
    ]
    for name, family, curve in curves:
        spots = [(across(rate), to_y(ms), rate, ms, threads) for rate, ms, threads in curve]
        parts.append(_line([(cx, cy) for cx, cy, *_ in spots], height, family, drawn))
        for cx, cy, rate, ms, threads in spots:
            said = f"{name}, {threads:.0f} threads: {rate:,.0f} searches a second, 95 % within {ms:.2f} ms"
            parts.append(tag("circle", tag("title", said), cx=f"{cx:.2f}%", cy=cy, r=4.5, class_=f"dot {family}"))
            parts.append(text(f"{threads:.0f}", x=cx, y=cy - 9, class_="tick", anchor="middle"))
    parts.append(_names(marks, [f"{mark:g} ms" for mark in marks], to_y))
    return svg(*parts, height=height + FOOT, label="latency over searches a second")


def shares_over_shares(curves: Sequence[Curve], *, label: str) -> Markup:
    """Return shares (up to 1) over shares on a logarithmic axis from large to small; points (share, share)."""
    points = [point for _, _, curve in curves for point in curve]
    if not points:
        return Markup("")
    height = 300.0
    floor = min(0.9, _least([p[1] for p in points]))
    to_y = _axis(floor, 1.0, height)
    shares = sorted({p[0] for p in points}, reverse=True)
    high, low = math.log(shares[0]), math.log(shares[-1])

    def across(at: float) -> float:
        return LEFT + 2.0 + (94.0 - LEFT) * (high - math.log(at)) / ((high - low) or 1.0)

    marks = ticks(floor, 1.0, count=4)
    parts = [_rules(marks, to_y), _stubs([across(at) for at in shares], height)]
    drawn: list[list[tuple[float, float]]] = []
    parts += [text(f"{100 * at:g} %", x=across(at), y=height + 16, class_="tick", anchor="middle") for at in shares]
    for name, family, curve in curves:
        spots = [(across(at), to_y(value), at, value) for at, value in curve]
        parts.append(_line([(cx, cy) for cx, cy, *_ in spots], height, family, drawn))
        for cx, cy, at, value in spots:
            said = f"{name}, {100 * at:g} % of the rows: {100 * value:.1f} %"
            parts.append(tag("circle", tag("title", said), cx=f"{cx:.2f}%", cy=cy, r=4.5, class_=f"dot {family}"))
    parts.append(_names(marks, [f"{100 * mark:g} %" for mark in marks], to_y))
    return svg(*parts, height=height + FOOT, label=label)


def _axis(low: float, high: float, height: float, *, logarithmic: bool = False) -> Any:
    if logarithmic:
        low, high = math.log(low), math.log(high)
    span = (high - low) or 1.0

    def place(value: float) -> float:
        at = math.log(value) if logarithmic else value
        return height - (height - HEAD) * (at - low) / span

    return place


def _across(low: float, high: float, *, left: float = LEFT, right: float = RIGHT) -> Any:
    span = (high - low) or 1.0
    return lambda value: left + (100 - left - right) * (value - low) / span


def _percent_scale(least: float) -> Any:
    return lambda share: 1.5 + 97.0 * (max(share, least) - least) / (1 - least)


def _inset(share: float) -> float:
    return 2 + 96 * share


def _grid(least: float) -> list[float]:
    return ticks(least, 1.0, count=5)


def _least(lows: Sequence[float]) -> float:
    """Return where an axis of shares begins: a multiple of 0.1 below all of them."""
    return max(0.0, math.floor(10 * min(lows, default=0.0)) / 10)


def _rules(marks: Sequence[float], to_y: Any) -> Markup:
    return Markup("").join(tag("line", x1="0%", x2="100%", y1=to_y(m), y2=to_y(m), class_="grid") for m in marks)


def _names(marks: Sequence[float], labels: Sequence[str], to_y: Any) -> Markup:
    """Return the labels of the rules; drawn last, so that no line crosses them."""
    named = zip(marks, labels, strict=True)
    return Markup("").join(text(name, x=0, y=to_y(m) - 4, class_="tick") for m, name in named)


def _stubs(xs: Sequence[float], height: float) -> Markup:
    """Return a short mark under the plot at each place that has points, also where there is no room for its number."""
    return Markup("").join(
        tag("line", x1=f"{x:.2f}%", x2=f"{x:.2f}%", y1=height, y2=height + 4, class_="stub") for x in xs
    )


def _line(
    spots: list[tuple[float, float]], height: float, family: str, drawn: list[list[tuple[float, float]]]
) -> Markup:
    """Return a line, broken where an earlier one runs the same way, so that both are seen; it is added to `drawn`."""
    same = any(
        len(other) == len(spots)
        and all(abs(a[1] - b[1]) < 2 and a[0] == b[0] for a, b in zip(other, spots, strict=True))
        for other in drawn
    )
    drawn.append(spots)
    return path(spots, height=height, class_=f"line {family}{' broken' if same else ''}")


def _foot(low: float, high: float, across: Any, height: float, unit: str) -> Markup:
    middle = [mark for mark in ticks(low, high, count=4) if LEFT + 12 < across(mark) < 84]
    names = [text(f"{m:,.0f}", x=across(m), y=height + 16, class_="tick", anchor="middle") for m in middle]
    names.append(text(f"{unit} {low:,.0f}", x=across(low), y=height + 16, class_="tick", anchor="middle"))
    names.append(text(f"{high:,.0f}", x=100, y=height + 16, class_="tick", anchor="end"))
    return Markup("").join(names) + _stubs([across(low), *(across(m) for m in middle), across(high)], height)


def _log_ticks(low: float, high: float) -> list[float]:
    marks = []
    power = math.floor(math.log10(low))
    while 10.0**power <= high:
        marks += [f * 10.0**power for f in (1, 3) if low <= f * 10.0**power <= high]
        power += 1
    return [float(f"{mark:.10g}") for mark in marks]


def _smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return an exponential mean with its start corrected; its memory is a twelfth of the run."""
    keep = 1 - 1 / max(1.0, len(points) / 12)
    mean = weight = 0.0
    smoothed = []
    for step, value in points:
        mean = keep * mean + (1 - keep) * value
        weight = keep * weight + (1 - keep)
        smoothed.append((step, mean / weight))
    return smoothed


def _thinned(counts: Sequence[float], across: Any) -> list[float]:
    kept: list[float] = []
    for count in reversed(counts):
        if not kept or across(kept[-1]) - across(count) > 9:
            kept.append(count)
    return kept[::-1]


def _anchor(x: float) -> str:
    return "start" if x < 3 else "end" if x > 97 else "middle"
