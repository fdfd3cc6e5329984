"""Several processes, a restart, and a process that is killed while it writes."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from typing import Any

import pytest

from dizuo.testing.vectors.comparing import assert_same_points
from dizuo.testing.vectors.opening import Connect, Opening, new_collection
from dizuo.testing.vectors.worker import DIM, point
from dizuo.vectors import VectorStore

__all__ = ["Processes", "wait_until_settled"]
SETTLED = 1.0
"""Seconds without a new row after which a server is taken to have applied all that a dead client had sent."""


def wait_until_settled(store: VectorStore, *, settled: float = SETTLED, patience: float = 60.0) -> None:
    """Wait until no more rows appear: a server goes on with what a client had sent before it was killed.

    Args:
        store: where rows may still appear.
        settled: seconds without a change that are enough.
        patience: seconds after which a store that still changes is a failure.
    """
    began = changed = time.monotonic()
    count = -1
    while time.monotonic() - changed < settled:
        assert time.monotonic() - began < patience, f"rows still appear after {patience:.0f} s: is the writer dead?"
        store.refresh()
        if (now := store.count()) != count:
            count, changed = now, time.monotonic()
        time.sleep(settled / 20)


class Processes(Opening):
    """Writers, restart, kill -9."""

    @pytest.mark.slow
    def test_another_process_finds_what_was_written(self, connect: Connect, url: str) -> None:
        name = self.made(connect, "persistent")
        with self.worker(url, name, "a", batches=3) as process:
            assert process.wait(120) == 0
        store = connect(dim=None, collection=name)
        assert store.dim == DIM
        assert_same_points(store.points(), [point("a", n) for n in range(3 * 50)])
        if store.capabilities.lexical != "none":
            assert len(store.words("text", k=200)) == 150

    @pytest.mark.slow
    def test_two_processes_write_at_once(self, connect: Connect, url: str) -> None:
        name = self.made(connect, "several_writers")
        with (
            self.worker(url, name, "a", batches=12, wait=True) as left,
            self.worker(url, name, "b", batches=12, wait=True) as right,
        ):
            for process in (left, right):
                assert process.stdout.readline().strip() == "ready"
            for process in (left, right):
                process.stdin.write("go\n")
                process.stdin.flush()
            assert left.wait(180) == 0, left.stderr.read()
            assert right.wait(180) == 0, right.stderr.read()
        store = connect(dim=DIM, collection=name)
        assert store.count() == 2 * 600
        assert_same_points(store.points(), [point(prefix, n) for prefix in "ab" for n in range(600)])

    @pytest.mark.slow
    def test_two_processes_write_the_same_records(self, connect: Connect, url: str) -> None:
        name = self.made(connect, "several_writers")
        with (
            self.worker(url, name, "same", batches=8, wait=True) as left,
            self.worker(url, name, "same", batches=8, wait=True) as right,
        ):
            for process in (left, right):
                assert process.stdout.readline().strip() == "ready"
                process.stdin.write("go\n")
                process.stdin.flush()
            assert left.wait(180) == 0, left.stderr.read()
            assert right.wait(180) == 0, right.stderr.read()
        store = connect(dim=DIM, collection=name)
        assert store.count() == 400
        assert_same_points(store.points(), [point("same", n) for n in range(400)])
        assert len(store.search(point("same", 5).vector, k=500, exact=True)) == 400

    @pytest.mark.slow
    def test_a_killed_writer_leaves_what_was_visible_and_the_store_usable(self, connect: Connect, url: str) -> None:
        name = self.made(connect, "durable")
        shown = 0
        generator = random.Random(9)
        for attempt in range(4):
            with self.worker(url, name, f"k{attempt}x", batches=10_000) as process:
                assert process.stdout.readline().strip() == "ready"
                for _ in range(2):
                    shown = int(process.stdout.readline())
                time.sleep(generator.uniform(0.0, 0.2))
                process.kill()
                process.wait(30)
                for line in process.stdout.read().split():
                    shown = max(shown, int(line)) if line.isdecimal() else shown
            store = connect(dim=DIM, collection=name)
            wait_until_settled(store)
            self.check_killed(store, f"k{attempt}x", shown)
            store.close()

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="not applicable: no fork")
    def test_a_forked_process_is_told_to_open_the_store_itself(self, connect: Connect, url: str) -> None:
        store = connect(dim=DIM, collection=new_collection())
        copies = not store.capabilities.persistent
        name = store.collection
        store.close()
        order = {"url": url, "options": self.options, "collection": name, "fork": True}
        command = [sys.executable, "-m", "dizuo.testing.vectors.worker"]
        run = subprocess.run(command, input=json.dumps(order) + "\n", capture_output=True, text=True, timeout=200)
        assert run.returncode == 0, run.stderr
        said = json.loads(run.stdout)
        assert said.pop("rows") == 20
        again = said.pop("open again", "works" if copies else "was not reached")
        assert again == "works" or re.match("Forked: .* before this process was forked(?s:.*)'spawn'", again), again
        assert said.pop("close") == "works"
        if copies:
            assert set(said.values()) == {"works"}
            return
        for call, answer in said.items():
            assert re.match("Forked: .* before this process was forked(?s:.*)open it in each process", answer), call

    def check_killed(self, store: VectorStore, prefix: str, shown: int) -> None:
        """Assert that confirmed batches are whole, that nothing is half there, and that all of it can be done again."""
        held = {record.id: record for record in store.points(f'prefix == "{prefix}"')}
        confirmed = [point(prefix, n) for n in range(50 * (shown + 1))]
        for record in confirmed:
            assert record.id in held, f"{record.id} was confirmed and is gone"
        assert_same_points(held.values(), [point(prefix, record.metadata["n"]) for record in held.values()])
        if store.capabilities.atomic_batches:
            assert len(held) % 50 == 0, f"{len(held)} rows: a batch is half in"
        assert store.count(f'prefix == "{prefix}"') == len(held)
        if store.capabilities.lexical != "none":
            hits = store.words(f"{prefix} text", k=10 * len(held), where=f'prefix == "{prefix}"')
            assert {*hits.ids} == {*held}, "words and records disagree after the crash"
        again = [point(prefix, n) for n in range(50 * (shown + 3))]
        store.upsert(again)
        assert_same_points(store.fetch([record.id for record in again]), again)

    def made(self, connect: Connect, needs: str) -> str:
        """Return the name of a new collection; skipped where the store declares that it lacks this."""
        from dizuo.testing.vectors.opening import lacking

        store = connect(dim=DIM, collection=new_collection())
        lacking(store, "persistent")
        lacking(store, needs)
        name = store.collection
        store.close()
        return name

    def worker(self, url: str, name: str, prefix: str, *, batches: int, wait: bool = False) -> Any:
        """Return a process that writes batches of 50 records."""
        order = {
            "url": url, "options": self.options, "collection": name, "prefix": prefix, "batches": batches, "size": 50,
            "wait": wait,
        }  # fmt: skip
        command = [sys.executable, "-m", "dizuo.testing.vectors.worker"]
        process = _Closing(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdin is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return process


class _Closing(subprocess.Popen):  # type: ignore[type-arg]
    """A process that does not outlive its block."""

    def __exit__(self, *error: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*error)
