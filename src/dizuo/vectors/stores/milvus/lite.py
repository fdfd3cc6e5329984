"""The server of Milvus Lite in this process: one per file, as long as a store is open on it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from dizuo.errors import MissingPackage
from dizuo.vectors.protocol.errors import Unreachable

__all__ = ["start_lite_server", "stop_lite_server"]

_open: dict[Path, int] = {}
_lock = threading.Lock()


def start_lite_server(path: Path) -> str:
    """Start Lite's server for a file, which it locks, unless it runs already; return its address."""
    try:
        from milvus_lite.server_manager import server_manager_instance
    except ImportError as error:
        raise MissingPackage("milvus_lite", purpose="milvus://FILE.db", install="dizuo[milvus]") from error
    logging.getLogger("milvus_lite").setLevel(logging.CRITICAL)
    with _lock:
        address = server_manager_instance.start_and_get_uri(str(path))
        if address is None:
            hint = "Milvus Lite serves one process at a time; close the other one, or run a Milvus server"
            raise Unreachable(f"{path} is open in another process, or cannot be opened", hint=hint)
        _open[path] = _open.get(path, 0) + 1
    return str(address)


def stop_lite_server(path: Path) -> None:
    """Stop the server when its last store is closed; pymilvus alone would hold the file until the process ends."""
    from milvus_lite.server_manager import server_manager_instance

    with _lock:
        _open[path] -= 1
        if not _open[path]:
            del _open[path]
            server_manager_instance.release_server(str(path))
