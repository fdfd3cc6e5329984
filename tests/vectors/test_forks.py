"""Processes that are forked while a store is open: workers of a DataLoader, of multiprocessing, and of an event loop.

The suite asks every store for the same (`Processes`); here are those who fork without saying so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytest.importorskip("lancedb")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
START = """
import asyncio, multiprocessing, os, sys, warnings
from dizuo.vectors import Forked, Point, connect, connect_async
warnings.simplefilter("ignore")
store = connect(sys.argv[1], dim=2)
store.upsert([Point(str(n), [1, n], {}, f"text {n}") for n in range(20)])
assert store.search([1, 1], k=1).ids
"""


def run(code: str, folder: Path) -> str:
    """Return what a program prints that has a store open; one that hangs fails."""
    program = START + textwrap.dedent(code)
    command = [sys.executable, "-c", program, f"lancedb://{folder}/index"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_workers_of_multiprocessing_are_told(tmp_path: Path) -> None:
    told = run(
        """
        def ask(number):
            try:
                return store.search([1, number], k=1).ids
            except Forked as error:
                return str(error)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(set(pool.map(ask, range(4))))
        print(store.count())
        """,
        tmp_path,
    )
    assert "was opened before this process was forked" in told
    assert "open it in each process" in told
    assert told.splitlines()[-1] == "20"


@pytest.mark.slow
def test_workers_of_a_data_loader_are_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    told = run(
        """
        from torch.utils.data import DataLoader, Dataset
        class Rows(Dataset):
            def __len__(self):
                return 4
            def __getitem__(self, number):
                return store.get(str(number)).metadata["n"]
        try:
            list(DataLoader(Rows(), num_workers=2, multiprocessing_context="fork", timeout=30))
        except Forked as error:
            print(error)
        """,
        tmp_path,
    )
    assert "was opened before this process was forked" in told


def test_awaited_calls_in_a_forked_process_are_refused_and_do_not_wait_for_threads_of_the_parent(
    tmp_path: Path,
) -> None:
    told = run(
        """
        async def use(again):
            async with again:
                try:
                    return await again.count()
                except Forked as error:
                    return str(error)
        async def start():
            opened = await connect_async("memory://", dim=2)
            await opened.upsert([Point("a", [1, 0])])
            return opened
        opened = asyncio.run(start())
        child = os.fork()
        if not child:
            print(asyncio.run(asyncio.wait_for(use(opened), 20)), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        print(asyncio.run(use(opened)))
        """,
        tmp_path,
    )
    assert "was opened before this process was forked" in told
    assert told.splitlines()[-1] == "1"
