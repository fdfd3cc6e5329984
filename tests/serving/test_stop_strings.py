"""A stop string is found across pieces, and nothing after it is shown."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dizuo.serving.stop_strings import StopStrings


def test_stop_strings_are_found_across_pieces_and_only_what_may_be_one_is_held_back() -> None:
    stops = StopStrings(["END", "\n\n"])
    assert stops.add("abcE") == "abc"
    assert stops.add("N") == ""
    assert stops.add("x") == "ENx"
    assert stops.add("a\n") == "a"
    assert stops.add("\nb END") == ""
    assert stops.found
    assert stops.add("more") == ""
    assert stops.finish() == ""


def test_the_first_of_two_stop_strings_counts() -> None:
    stops = StopStrings(["later", "soon"])
    assert stops.add("well soon or later") == "well "


@given(st.text("abc", max_size=40), st.lists(st.text("abc", min_size=1, max_size=4), max_size=3), st.integers(0, 10**6))
@settings(max_examples=300, deadline=None)
def test_stop_strings_cut_a_text_the_same_in_any_pieces(text: str, stops: list[str], seed: int) -> None:
    places = [text.index(stop) for stop in stops if stop in text]
    expected = text[: min(places)] if places else text
    cutter, out, rest = StopStrings(stops), "", text
    draw = random.Random(seed)
    while rest and not cutter.found:
        size = draw.randint(1, 5)
        out, rest = out + cutter.add(rest[:size]), rest[size:]
    # A later stop string may be whole before an earlier one, if that is longer: the pieces decide which is seen first.
    if not cutter.found:
        out += cutter.finish()
        assert out == text
    else:
        assert out.startswith(expected)
        assert any(text[len(out) :].startswith(stop) for stop in stops)
