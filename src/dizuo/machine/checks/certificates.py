"""The certificates that the environment names are there and can be read."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from dizuo.machine.checks import Check
from dizuo.machine.findings import Finding, broken, look, well
from dizuo.machine.surroundings import Surroundings

__all__ = ["CHECK"]

FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Read by the Hugging Face client, by ModelScope's, by both, and by pip."""


def check(surroundings: Surroundings) -> Finding:
    """Read the files that the environment names; without any, those of Python."""
    given = {name: os.environ[name] for name in FILES if os.environ.get(name)}
    for name, place in given.items():
        path = Path(place)
        hint = f"point {name} at a file of certificates (PEM), or unset it"
        if not path.exists():
            return broken(f"{name} names {place}, which does not exist", hint=hint)
        if path.is_dir():
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(place)
        except (OSError, ssl.SSLError) as error:
            return broken(f"{name} names {place}, which holds no certificates: {error}", hint=hint)
    if not given:
        count = len(ssl.create_default_context().get_ca_certs())
        own = f"the system's {count}" if count else "those that each client brings along"
        return well(f"no file is named; {own} are used")
    if len(set(given.values())) > 1:
        several = ", ".join(f"{name}={place}" for name, place in given.items())
        return look(f"clients use different files: {several}", hint="name one file in all of them")
    (place,) = set(given.values())
    return well(f"{', '.join(given)}: {place}")


CHECK = Check(title="certificates", order=40, check=check)
