"""Inline SVG: tags, ticks and scales for charts that fill their column at any width.

A chart has no view box: x is in percent of the width it gets, y in pixels, so that text keeps its size from a phone to
a wide screen. Lines are drawn in a nested SVG that is stretched, with strokes that are not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

from dizuo.languages import say_on_page

__all__ = ["Scale", "label_ticks", "path", "svg", "tag", "text", "ticks"]

Scale = Callable[[float], float]
STRETCH = 1000.0
"""Width of the nested, stretched drawing."""


def tag(name: str, *children: str, **attributes: str | float | None) -> Markup:
    """Return an element; text and attribute values are escaped, `class_` is `class`, `_` in names is `-`."""
    shown = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _number(value))
        for key, value in attributes.items()
        if value is not None
    )
    inner = Markup("").join(child if isinstance(child, Markup) else escape(say_on_page(child)) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(escape(name)), shown, inner)


def text(content: str, *, x: float, y: float, class_: str = "", anchor: str = "start", dx: float = 0) -> Markup:
    """Return a text at x percent and y pixels, moved dx pixels to the right."""
    return tag("text", content, x=f"{x:.2f}%", y=y, dx=dx or None, class_=class_ or None, text_anchor=anchor)


def svg(*children: str, height: float, label: str, class_: str = "chart") -> Markup:
    """Return a chart of the given height that fills its column, with a name for screen readers."""
    return tag(
        "svg", *children, width="100%", height=height, role="img", aria_label=say_on_page(label), class_=class_,
        xmlns="http://www.w3.org/2000/svg",
    )  # fmt: skip


def path(points: Iterable[tuple[float, float]], *, height: float, class_: str, closed: bool = False) -> Markup:
    """Return a line through points of (x in percent, y in pixels)."""
    steps = [f"{x * STRETCH / 100:.1f} {y:.1f}" for x, y in points]
    if not steps:
        return Markup("")
    drawing = tag(
        "path",
        d="M" + " L".join(steps) + (" Z" if closed else ""),
        class_=class_,
        vector_effect="non-scaling-stroke",
    )
    return tag(
        "svg", drawing, x="0", y="0", width="100%", height=height, preserveAspectRatio="none",
        viewBox=f"0 0 {STRETCH:.0f} {height:.0f}",
    )  # fmt: skip


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return about `count` round numbers from `low` to `high`: multiples of 1, 2, 2.5 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    marks = []
    while first * step <= high + step * 1e-9:
        marks.append(round(first * step, 12))
        first += 1
    return marks


def label_ticks(values: Sequence[float]) -> list[str]:
    """Return ticks as text with as many decimals as the finest of them needs."""
    decimals = 0
    while decimals < 6 and any(abs(round(value, decimals) - value) > 1e-9 * max(1.0, abs(value)) for value in values):
        decimals += 1
    return [f"{value:,.{decimals}f}" for value in values]


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    assert math.isfinite(value), "a coordinate is finite"
    return f"{value:.2f}".rstrip("0").rstrip(".")
