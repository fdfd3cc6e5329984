"""The last step: bundles, the registry of releases, and the OpenAI-compatible server.

    Bundle         a folder that can be served anywhere and proves what it is     (bundle.write, bundle.open)
    Registry       releases by name, version and alias
    serve          a registered name over HTTP, until it is told to stop
    Conversation   the same model without a server

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dizuo.serving.bundle import Bundle
    from dizuo.serving.chat import Conversation
    from dizuo.serving.options import ServeOptions
    from dizuo.serving.registry import Registry, Release
    from dizuo.serving.server import open_named, serve
    from dizuo.serving.service import Classified, Service

__all__ = [
    "Bundle",
    "Classified",
    "Conversation",
    "Registry",
    "Release",
    "ServeOptions",
    "Service",
    "open_named",
    "serve",
]

_HOMES = {
    "Bundle": "bundle",
    "Classified": "service",
    "Conversation": "chat",
    "Registry": "registry",
    "Release": "registry",
    "ServeOptions": "options",
    "Service": "service",
    "open_named": "server",
    "serve": "server",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
