"""No server, a wrong password, a server that dies: a clear error, no half-claimed success, and it can be done again."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator

import pytest

from dizuo.errors import VectorError
from dizuo.testing.vectors.opening import Connect, Opening
from dizuo.vectors import Denied, Patience, Point, Unreachable
from dizuo.vectors.connecting.connect import find_store

__all__ = ["Faults"]


class Faults(Opening):
    """Server missing, denied, killed."""

    def test_nobody_listens(self, connect: Connect, unreachable_url: str | None) -> None:
        if unreachable_url is None:
            pytest.skip("not applicable: no server of its own")
        began = time.monotonic()
        with pytest.raises(Unreachable) as caught:
            connect(dim=2, url=unreachable_url, patience=Patience(attempts=2, first=0.05))
        assert time.monotonic() - began < 30
        assert caught.value.hint

    def test_a_wrong_password(self, connect: Connect, denied_url: str | None) -> None:
        if denied_url is None:
            pytest.skip("not applicable: no password")
        with pytest.raises(Denied) as caught:
            connect(dim=2, url=denied_url, patience=Patience(attempts=2, first=0.05))
        password = find_store(denied_url)[0].password or ""
        said = "".join(traceback.format_exception(caught.value)).lower()
        shown = [password[at : at + 6] for at in range(len(password) - 5) if password[at : at + 6].lower() in said]
        assert not shown, "an error never shows a part of a password, nor do its causes"

    @pytest.mark.slow
    def test_a_server_that_dies_in_the_middle_of_a_load(
        self, connect: Connect, breakable: tuple[str, Callable[[], None]] | None
    ) -> None:
        if breakable is None:
            pytest.skip("not applicable: no server of its own")
        url, stop = breakable
        store = connect(dim=2, url=url, patience=Patience(attempts=3, first=0.05))
        store.store.batch_rows = 20

        def stream() -> Iterator[Point]:
            for n in range(400):
                if n == 200:
                    stop()
                yield Point(f"f{n}", [1, n])

        with pytest.raises(Unreachable) as caught:
            store.upsert(stream())
        assert caught.value.written % 20 == 0
        assert 0 < caught.value.written <= 200
        assert f"{caught.value.written:,} rows of this call are in the store" in str(caught.value)
        with pytest.raises(VectorError):
            store.search([1, 0])
