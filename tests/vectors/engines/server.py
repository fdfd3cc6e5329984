"""A database server as a child process of the tests."""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil

from engines.packages import EngineUnavailable

_running: set[Server] = set()


class Server:
    """A process that listens on 127.0.0.1 and keeps its data in `folder`; subclasses say how it is run.

    Args:
        folder: where its data, log and configuration lie; made if missing. `clean` removes it.
    """

    name: ClassVar[str]
    kind: ClassVar[str] = "real"
    version: str
    patience: ClassVar[float] = 60.0
    """Seconds within which it must answer."""
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What `dizuo.vectors.connect` takes."""
        raise NotImplementedError

    @property
    def wrong_password_url(self) -> str | None:
        """The same with a wrong password, or None where the engine has none."""
        return None

    def prepare(self) -> None:
        """Make what the server needs before its first start."""

    def command(self) -> Sequence[str]:
        """The command line that runs the server in the foreground."""
        raise NotImplementedError

    def environment(self) -> Mapping[str, str]:
        """What to add to the environment."""
        return {}

    def ready(self) -> None:
        """Raise anything unless the server answers a real request."""
        raise NotImplementedError

    def before_kill(self) -> None:
        """End what stands beside the process."""

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EngineUnavailable: it ended, or did not answer in time; the end of its log is in the text.
        """
        assert not self.alive, f"{self.name} runs already"
        if not (self.folder / "prepared").exists():
            self.prepare()
            (self.folder / "prepared").touch()
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*with_parent(), *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                start_new_session=True,
            )
        _running.add(self)
        self._wait()

    def stop(self) -> None:
        """Ask the server to end, as an administrator would; it may finish what it is doing."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """End the server and all its processes at once, as a power cut would (kill -9)."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port and data."""
        if self.alive:
            self.stop()
        self.start()

    def clean(self) -> None:
        """Remove what it left on disk; it has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self, lines: int = 15) -> str:
        """The end of the server's log."""
        path = self.folder / "server.log"
        text = path.read_text("utf-8", "replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def _wait(self) -> None:
        until, pause = time.monotonic() + self.patience, 0.02
        while True:
            if not self.alive:
                assert self.process is not None
                code = self.process.returncode
                self._end(signal.SIGKILL)
                raise EngineUnavailable(f"{self.name} ended with status {code} when started:\n{self.log()}")
            try:
                self.ready()
            except Exception as error:
                if time.monotonic() > until:
                    self._end(signal.SIGKILL)
                    raise EngineUnavailable(
                        f"{self.name} did not answer within {self.patience:.0f} s ({error}):\n{self.log()}"
                    ) from error
                time.sleep(pause)
                pause = min(pause * 1.5, 0.5)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        process = self.process
        if process is None:
            return
        self.before_kill()
        # PostgreSQL's children lead process groups of their own, so they are found by their parent.
        family = _family(process.pid)
        if process.poll() is None:
            process.send_signal(how)
            if how is not signal.SIGKILL:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
        for member in family:
            with suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(30)
        psutil.wait_procs(family, timeout=30)
        self.process = None
        _running.discard(self)


def free_port() -> int:
    """Return a TCP port that nobody listens on.

    Below 32768, where Linux does not take the local ports of connections from: one that a killed server left must
    still be free when the server comes back.
    """
    for _ in range(200):
        port = random.SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise EngineUnavailable("no free TCP port on 127.0.0.1")


def with_parent() -> list[str]:
    """The words before a command that make it end with the tests, also when those are killed."""
    return ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


@atexit.register
def _stop_all() -> None:
    for server in list(_running):
        server.kill()
