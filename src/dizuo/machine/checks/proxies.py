"""The proxies that the environment names can be connected to, and both spellings say the same."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit
from urllib.request import getproxies

from dizuo.artifacts.reaching import diagnose, proxy_for
from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, well
from dizuo.machine.surroundings import Surroundings

__all__ = ["CHECK"]

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def check(surroundings: Surroundings) -> Finding:
    """Connect to each proxy; a login in it is not shown."""
    for name in NAMES:
        lower, upper = os.environ.get(name), os.environ.get(name.upper())
        if lower and upper and lower != upper:
            return look(
                f"{name} and {name.upper()} say different things", hint="clients differ in which they read: set both"
            )
    shown = {}
    for scheme in ("http", "https"):
        proxy = proxy_for(f"{scheme}://pypi.org/")
        if not proxy:
            continue
        whole = getproxies().get(scheme) or getproxies().get("all") or proxy
        parts = urlsplit(whole if "://" in whole else f"http://{whole}")
        hint = f"check {scheme.upper()}_PROXY: it is http://HOST:PORT, with USER:PASSWORD@ before the host where needed"
        try:
            host, port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError:
            return broken(f"{proxy} names no port", hint=hint)
        if not host:
            return broken(f"{proxy} names no host", hint=hint)
        try:
            socket.create_connection((host, port), timeout=surroundings.seconds).close()
        except OSError as error:
            return broken(f"{proxy}: {diagnose(error).what}", hint=hint)
        shown[scheme] = proxy
    if not shown:
        return well("none is set")
    missing = [scheme for scheme in ("http", "https") if scheme not in shown]
    if missing:
        return look(
            f"{', '.join(shown.values())}; none for {missing[0]}:// addresses",
            hint=f"set {missing[0].upper()}_PROXY too",
        )
    return well(", ".join(dict.fromkeys(shown.values())))


CHECK = Check(title="proxies", order=50, check=check)
