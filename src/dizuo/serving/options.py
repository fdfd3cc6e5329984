"""Settings of a server: address, keys, limits, and the engine behind it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from dizuo.errors import RecipeError

__all__ = ["ServeOptions"]


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """Settings of the gateway and of the engine behind it."""

    host: str = "127.0.0.1"
    """Address to bind; anything beyond loopback needs keys."""
    port: int = 8000
    """TCP port; 0 takes a free one."""
    keys_file: str | None = None
    """File of API keys, one per line, as `key` or `name:key`; `#` starts a comment. Without it keys come from the
    environment variable DIZUO_API_KEYS, separated by commas."""
    max_body_bytes: int = 4_194_304
    """Largest request body; more is answered 413."""
    timeout: float = 600.0
    """Seconds a request may take, waiting included."""
    drain: float = 30.0
    """Seconds that running requests are given to end after SIGTERM."""
    max_running: int = 16
    """Requests that share a step of the engine."""
    max_waiting: int = 64
    """Requests that may wait; the next one is answered 429."""
    dtype: str = "float32"
    """Compute dtype of the engine."""
    device: str = "cpu"
    """Torch device of the engine."""
    threads: int = 0
    """Threads of a matrix product; 0 leaves torch's own choice."""

    def __post_init__(self) -> None:
        wrong = []
        if not 0 <= self.port <= 65535:
            wrong.append(f"serve.port: must be in 0…65535, not {self.port}")
        for name in ("max_body_bytes", "max_running", "max_waiting"):
            if getattr(self, name) < 1:
                wrong.append(f"serve.{name}: must be at least 1, not {getattr(self, name)}")
        for name in ("timeout", "drain"):
            if not 0 < getattr(self, name) < float("inf"):
                wrong.append(f"serve.{name}: must be a positive number of seconds, not {getattr(self, name)}")
        if wrong:
            raise RecipeError(f"{len(wrong)} serve setting{'s are' if len(wrong) > 1 else ' is'} wrong", details=wrong)

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
