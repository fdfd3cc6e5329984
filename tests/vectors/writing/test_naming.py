"""Physical names fit every database and differ where the logical names do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dizuo.vectors.writing.naming import physical_name


@given(st.text(min_size=1, max_size=200), st.text(min_size=1, max_size=200))
def test_physical_names_fit_every_engine_and_differ(left: str, right: str) -> None:
    names = [physical_name(text.encode("utf-8", "replace").decode(), limit=40) for text in (left, right)]
    for name in names:
        assert 10 <= len(name) <= 40
        assert name.isascii()
        assert name.replace("_", "a").isalnum()
        assert name == name.lower()
    assert (names[0] == names[1]) == (left.encode("utf-8", "replace") == right.encode("utf-8", "replace"))
