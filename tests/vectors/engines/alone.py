"""Run a server in a network namespace of its own, with one of its ports reachable at 127.0.0.1 outside.

    python alone.py PORT TARGET COMMAND…

Some servers listen on every interface and on fixed ports. In its own namespace such a server has a loopback
interface and nothing else; this process listens on 127.0.0.1:PORT outside and passes connections on to
127.0.0.1:TARGET inside. It ends with the server, and the server with it.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 0x1
PR_SET_PDEATHSIG = 1


def enter() -> None:
    """Move this process into a new network namespace, whose loopback interface is up."""
    libc = ctypes.CDLL(None, use_errno=True)
    flags = CLONE_NEWNET if os.geteuid() == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if libc.unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}: no network namespace of its own is allowed here")
    with socket.socket() as handle:
        request = struct.pack("16sh", b"lo", 0)
        (flags,) = struct.unpack("16xh", fcntl.ioctl(handle, SIOCGIFFLAGS, request)[:18])
        fcntl.ioctl(handle, SIOCSIFFLAGS, struct.pack("16sh", b"lo", flags | IFF_UP))


def die_with_parent() -> None:
    """Called in the child before the server's program replaces it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while block := await reader.read(1 << 18):
            writer.write(block)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(outside: socket.socket, target: int, server: subprocess.Popen[bytes]) -> int:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, inner_writer), copy(inner_reader, writer))

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.terminate)
    async with await asyncio.start_server(connect, sock=outside):
        while (status := server.poll()) is None:
            await asyncio.sleep(0.05)
    return status


def main() -> int:
    port, target, *command = sys.argv[1:]
    outside = socket.create_server(("127.0.0.1", int(port)))
    enter()
    server = subprocess.Popen(command, preexec_fn=die_with_parent)
    return asyncio.run(serve(outside, int(target), server))


if __name__ == "__main__":
    sys.exit(main())
