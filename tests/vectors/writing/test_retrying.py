"""Batches that fail for a moment are sent again, and only they; what was found before them is counted."""

from __future__ import annotations

import pytest

from dizuo.vectors.protocol.errors import Transient
from dizuo.vectors.writing.retrying import send_batches


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dizuo.vectors.writing.retrying.time.sleep", lambda seconds: None)


@pytest.mark.parametrize("stumbles", [{0}, {3}, {9}, {0, 3, 9}])
def test_a_batch_that_fails_is_sent_again_and_the_others_are_not(stumbles: set[int]) -> None:
    sent: list[tuple[int, ...]] = []

    def send(part: list[int]) -> None:
        sent.append(tuple(part))
        if part[0] // 10 in stumbles and sent.count(tuple(part)) < 3:
            raise Transient("busy")

    send_batches(list(range(95)), 10, send)
    assert sorted({key for part in sent for key in part}) == list(range(95))
    for start in range(0, 95, 10):
        part = tuple(range(start, min(start + 10, 95)))
        assert sent.count(part) == (3 if start // 10 in stumbles else 1)


def test_a_batch_that_fails_for_good_is_an_error_and_none_after_it_is_sent() -> None:
    sent: list[int] = []

    def send(part: list[int]) -> None:
        sent.append(part[0])
        if part[0] == 20:
            raise Transient("gone")

    with pytest.raises(Transient, match="gone"):
        send_batches(list(range(50)), 10, send)
    assert set(sent) == {0, 10, 20}
