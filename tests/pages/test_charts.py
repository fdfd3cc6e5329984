"""Ticks, scales and drawings."""

from __future__ import annotations

import itertools
import math
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
    assert places[0] == 3.0
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
