"""`serve` opens a release and answers HTTP requests with it until the process is told to stop."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from dizuo import packages
from dizuo.engines import EngineOptions
from dizuo.errors import ServingError
from dizuo.events import Note, Watcher, ignore
from dizuo.serving.gateway.security import Gatekeeper, read_keys
from dizuo.serving.opening import NamedBundle, find_bundle, load_service
from dizuo.serving.options import ServeOptions
from dizuo.serving.service import Service

__all__ = ["serve"]


@packages.needs("serving a model")
def serve(name: str | Path, *, options: ServeOptions | None = None, watch: Watcher = ignore) -> None:
    """Serve a model until SIGINT or SIGTERM; requests that are running then may end within `options.drain`.

    Args:
        name: `tickets`, `tickets@3`, `tickets:prod`, or a bundle folder.
        options: address, keys, limits.
        watch: told the address as a `Note` when the server answers.

    Raises:
        ServingError: the name or bundle is wrong, the address is taken, or it would be open without keys.
    """
    options = options or ServeOptions()
    gatekeeper = Gatekeeper(read_keys(options), options)
    listener = _bind(options)
    try:
        named = find_bundle(name)
        service = load_service(
            named,
            options=EngineOptions(
                max_running=options.max_running,
                max_waiting=options.max_waiting,
                dtype=options.dtype,
                device=options.device,
                threads=options.threads,
            ),
            watch=watch,
        )
        try:
            _run(service, named, options, gatekeeper, listener, watch)
        finally:
            service.close()
    finally:
        listener.close()


def _run(
    service: Service,
    named: NamedBundle,
    options: ServeOptions,
    gatekeeper: Gatekeeper,
    listener: socket.socket,
    watch: Watcher,
) -> None:
    import uvicorn

    from dizuo.serving.gateway.application import Gateway, build_application

    gateway = Gateway({named.name: service}, options, gatekeeper, releases={named.name: named.reference})
    config = uvicorn.Config(
        build_application(gateway),
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=max(1, round(options.drain)),
        server_header=False,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            watch(Note(f"serving {named.reference} at http://{shown}:{port}/v1"))

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn's own raises the signal again when all is done, and the process dies of it: no clean-up, code 143.
            if threading.current_thread() is not threading.main_thread():
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            gateway.draining = True
            super().handle_exit(sig, frame)

    Server(config).run(sockets=[listener])


def _bind(options: ServeOptions) -> socket.socket:
    """Return a listening socket: bound before the model is loaded, so that a taken port is known at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ServingError(
            f"{options.host}:{options.port} cannot be bound: {error.strerror or error}",
            hint="choose another port; port 0 takes a free one",
        ) from error
    return listener
