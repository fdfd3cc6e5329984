"""Memory of this process and of a local server while they work, and bytes of a folder on disk."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from dizuo.vectors.connecting.addresses import Url

__all__ = ["Resident", "disk_bytes", "server_processes"]

PORTS = {
    "chroma": 8000, "clickhouse": 8123, "elasticsearch": 9200, "marqo": 8882, "milvus": 19530, "postgresql": 5432,
    "redis": 6379,
}  # fmt: skip
"""Where the servers listen unless an address says otherwise."""
LOCAL = ("localhost", "127.0.0.1", "::1")


class Resident:
    """The most resident memory of this process, and of a server's, since `start`; sampled twenty times a second.

    Args:
        server: its processes, whose shared memory is counted once where the system tells (Linux' PSS).
    """

    def __init__(self, server: list[Any]) -> None:
        import psutil

        self.own = psutil.Process()
        self.server = server
        self.client_bytes = self.own.memory_info().rss
        self.server_bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Resident:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look(server=True)

    def _sample(self) -> None:
        turn = 0
        while not self._stop.wait(0.05):
            turn += 1
            self._look(server=turn % 20 == 0)  # reading PSS walks the page tables, so only once a second

    def _look(self, *, server: bool) -> None:
        self.client_bytes = max(self.client_bytes, self.own.memory_info().rss)
        if server and self.server:
            self.server_bytes = max(
                self.server_bytes or 0, sum(_read_bytes(process) for process in _with_children(self.server))
            )


def _with_children(processes: list[Any]) -> Iterator[Any]:
    import psutil

    for process in processes:
        yield process
        with contextlib.suppress(psutil.Error):
            yield from process.children(recursive=True)


def _read_bytes(process: Any) -> int:
    import psutil

    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.Error:
        try:
            return int(process.memory_info().rss)
        except psutil.Error:  # it has ended
            return 0


def server_processes(url: Url) -> list[Any]:
    """Return the processes that listen where an address points to, if that is this machine and they are ours to see."""
    import psutil

    port = url.port or PORTS.get(url.scheme)
    if url.host not in LOCAL or port is None:
        return []
    try:
        pids = {socket.pid for socket in psutil.net_connections("tcp")
                if socket.status == psutil.CONN_LISTEN and socket.laddr.port == port and socket.pid}  # fmt: skip
        processes = [psutil.Process(pid) for pid in pids]
    except psutil.Error:
        return []
    # Where a parent listens with its children, the children come with it.
    return [process for process in processes if not {parent.pid for parent in process.parents()} & pids]


def disk_bytes(place: str) -> int:
    """Return the bytes of a file or folder and of what lies beside it under its name, or 0 where there is nothing."""
    path = Path(place)
    if not place or not path.name:
        return 0
    total = 0
    for entry in path.parent.glob(f"{_escape(path.name)}*") if path.parent.is_dir() else ():
        if entry.name != path.name and entry.name[len(path.name)] not in "-.":
            continue
        files = entry.rglob("*") if entry.is_dir() else [entry]
        for file in files:
            with contextlib.suppress(OSError):  # engines remove files while we look
                if file.is_file():
                    total += file.stat().st_size
    return total


def _escape(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
