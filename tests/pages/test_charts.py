"""Ticks, scales and drawings."""

from __future__ import annotations

import itertools
import math
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dizuo.pages import charts
from dizuo.pages.page import duration, figure
from dizuo.pages.svg import label_ticks, tag, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_ascending_and_inside(low: float, span: float, count: int) -> None:
    found = ticks(low, low + span, count=count)
    assert len(found) <= count + 2
    assert found == sorted(set(found))
    slack = span * 1e-6 + 4 * math.ulp(abs(low) + span)  # far from zero, floats themselves are this coarse
    assert all(low - slack <= mark <= low + span + slack for mark in found)


def test_ticks_of_a_share_and_of_a_point() -> None:
    assert ticks(0, 1, count=5) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(3, 3) == [3]
    assert label_ticks([0, 0.25, 1000.5]) == ["0.00", "0.25", "1,000.50"]


def test_attributes_and_text_are_escaped_and_children_are_not_twice() -> None:
    assert tag("b", tag("i", "<"), class_='"') == '<b class="&#34;"><i>&lt;</i></b>'


def test_a_coordinate_that_is_not_finite_is_a_fault() -> None:
    with pytest.raises(AssertionError, match="finite"):
        tag("circle", cx=float("nan"))


def test_the_loss_chart_draws_every_step_and_turns_logarithmic_over_large_ranges() -> None:
    lines = [{"step": step, "loss": 4.0 / step**2} for step in range(1, 21)]
    drawn = charts.loss([*lines, {"step": 10, "validation_loss": 0.3}])
    faint = re.search(r'<path d="([^"]*)" class="line tuned faint"', drawn)
    assert faint is not None
    points = [tuple(map(float, point.split())) for point in faint[1].lstrip("M").split(" L")]
    assert len(points) == 20
    drops = [b[1] - a[1] for a, b in itertools.pairwise(points)]
    assert min(drops) > 0  # falls on the screen at every step
    assert drops[0] < 60  # from 4 to 1 of 4 to 0.01: linear would take three quarters of the 226 pixels
    assert drawn.count("<circle") == 1


def test_a_run_without_losses_has_no_chart() -> None:
    assert charts.loss([]) == ""
    assert charts.loss([{"step": 1, "seconds": 2.0}]) == ""


def test_one_step_is_drawn_without_dividing_by_nothing() -> None:
    assert "<path" in charts.loss([{"step": 1, "loss": 1.0}])


def test_more_training_rows_stand_further_right_and_none_at_the_left_edge() -> None:
    points = {"title": "x", "points": [[0, 0.2, 0.1, 0.3], [40, 0.5, 0.4, 0.6], [640, 0.9, 0.8, 0.95]]}
    places = [float(x) for x in re.findall(r'<circle cx="([\d.]+)%"', charts.lines({"x": points}, x="rows"))]
    assert places == sorted(places)
    assert places[0] == 13.0, "behind the labels of the other axis"
    assert 10 < places[1] < places[2] < 98


def test_a_histogram_is_as_high_as_its_counts() -> None:
    drawn = charts.histogram([[0, 10, 4], [10, 20, 8]], unit="words", marks={"median": 12})
    heights = [float(h) for h in re.findall(r'<rect [^>]*height="([\d.]+)"', drawn)]
    assert heights[1] == pytest.approx(2 * heights[0], rel=1e-3)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "–"),
        (0, "none"),
        (0.012, "12 ms"),
        (3.21, "3.2 s"),
        (48.4, "48 s"),
        (185, "3 min 05 s"),
        (7800, "2 h 10 min"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_figures_have_as_many_digits_as_a_person_reads() -> None:
    assert [figure(x) for x in (None, 0, 0.001, 0.5, 12.34, 1234.5)] == ["–", "0", "< 0.01", "0.50", "12.3", "1,234"]


def boxes(drawing: str, width: float) -> tuple[list[tuple[float, ...]], list[tuple[float, ...]]]:
    """Return the boxes (left, top, right, bottom) of dots and of axis labels in a chart of that width, in pixels."""
    dots, labels = [], []
    for x, y, r in re.findall(r'<circle[^>]*cx="([\d.]+)%" cy="([\d.]+)" r="([\d.]+)"', drawing):
        cx, cy, radius = float(x) * width / 100, float(y), float(r)
        dots.append((cx - radius, cy - radius, cx + radius, cy + radius))
    for found in re.finditer(r'<text x="([\d.]+)%" y="([\d.-]+)"([^>]*)>([^<]*)</text>', drawing):
        x, y, rest, said = float(found[1]) * width / 100, float(found[2]), found[3], found[4]
        long = 6.0 * len(said)
        left = x - long if 'anchor="end"' in rest else x - long / 2 if 'anchor="middle"' in rest else x
        labels.append((left, y - 9, left + long, y + 2))
    return dots, labels


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


DRAWN = {
    "loss": lambda dice: charts.loss(
        [{"step": n, "loss": 3 * dice.random(), **({"validation_loss": 3 * dice.random()} if n % 3 == 1 else {})}
         for n in range(1, dice.randint(2, 60))]
    ),
    "lines": lambda dice: charts.lines(
        {name: {"title": name, "points": [[n, at := dice.random(), max(0, at - 0.1), min(1, at + 0.1)]
                                          for n in (0, 10, 40, 160, 640)]} for name in ("tuned", "cheap")},
        x="rows",
    ),
    "reliability": lambda dice: charts.reliability(
        [{"low": n / 10, "high": n / 10 + 0.1, "n": dice.randint(1, 90), "confidence": n / 10 + 0.1 * dice.random(),
          "accuracy": (at := dice.random()), "accuracy_low": at / 2, "accuracy_high": (1 + at) / 2}
         for n in range(10)],
        family="tuned", label="r",
    ),
    "shares": lambda dice: charts.shares_over_shares(
        [("a", "c0", [(share, dice.random()) for share in (1.0, 0.5, 0.1, 0.01)])], label="s"
    ),
}  # fmt: skip


@pytest.mark.parametrize("width", [360.0, 760.0])
@pytest.mark.parametrize("chart", DRAWN)
def test_no_dot_lies_on_a_label_of_an_axis(chart: str, width: float) -> None:
    for seed in range(40):
        dots, labels = boxes(str(DRAWN[chart](random.Random(seed))), width)
        assert dots
        assert labels
        hit = [(dot, label) for dot in dots for label in labels if overlap(dot, label)]
        assert not hit, (seed, hit[0])


def test_every_count_has_its_mark_and_lines_that_run_alike_are_told_apart() -> None:
    points = [[n, 0.5, 0.4, 0.6] for n in (10, 11, 12, 640)]
    drawn = charts.lines({"a": {"title": "a", "points": points}, "b": {"title": "b", "points": points}}, x="rows")
    assert drawn.count('class="stub"') == 4
    assert drawn.count("broken") == 1
    apart = [[n, 0.9, 0.8, 1.0] for n in (10, 11, 12, 640)]
    assert "broken" not in charts.lines(
        {"a": {"title": "a", "points": points}, "b": {"title": "b", "points": apart}}, x="rows"
    )
