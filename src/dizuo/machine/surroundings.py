"""What checks of the machine are told: the addresses that are wanted here, and how long a server may be silent."""

from __future__ import annotations

from dataclasses import dataclass

from dizuo.artifacts import Address, parse
from dizuo.artifacts.reaching import Unanswered, proxy_for
from dizuo.errors import DizuoError
from dizuo.machine.findings import Finding, broken, look

__all__ = ["Surroundings", "unanswered"]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What checks are told."""

    addresses: tuple[str, ...]
    """What a recipe names; empty where no recipe was given."""
    seconds: float
    """A server may take so long to say anything."""

    def named(self, scheme: str) -> list[Address]:
        """Return the addresses of a source."""
        found = []
        for text in self.addresses:
            try:
                address = parse(text)
            except DizuoError:  # whoever uses it says what is wrong
                continue
            if address.scheme == scheme:
                found.append(address)
        return found


def unanswered(error: Unanswered, *, needed: bool, instead: str) -> Finding:
    """Return the finding that a server cannot be reached; it is broken only where it is needed."""
    proxy = proxy_for(error.url)
    through = f", through the proxy {proxy}" if proxy else ""
    measured = f"{error.url}{through}: {error.trouble.what}"
    hint = f"{error.trouble.advice}; or {instead}" if error.trouble.advice else instead
    return broken(measured, hint=hint) if needed else look(measured, hint=f"{hint}; it only matters where you use it")
