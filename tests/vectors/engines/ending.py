"""Run a command that ends with the process that started it, also where the command changes its user.

    python ending.py COMMAND…

The kernel forgets the signal at a parent's death when a program changes its user, as Elasticsearch's start as root
does. This process changes nothing: when its own parent dies it asks the command to end, and waits for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1


def main() -> int:
    parent = os.getppid()
    command = subprocess.Popen(sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: command.terminate())
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the kernel was told
        command.terminate()
    return command.wait()


if __name__ == "__main__":
    sys.exit(main())
