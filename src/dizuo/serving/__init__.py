"""The last step: bundles, the registry of releases, and the OpenAI-compatible server.

    Bundle         a folder that can be served anywhere and proves what it is     (bundle.write, bundle.open)
    Registry       releases by name, version and alias
    serve          a registered name over HTTP, until it is told to stop
    Conversation   the same model without a server

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.serving.bundle.files import Bundle
    from dizuo.serving.chat import Conversation
    from dizuo.serving.gateway.server import open_named, serve
    from dizuo.serving.options import ServeOptions
    from dizuo.serving.registry import Registry, Release
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

__getattr__, __dir__ = lazy.names(
    __name__,
    {
        "Bundle": "bundle.files",
        "Classified": "service",
        "Conversation": "chat",
        "Registry": "registry",
        "Release": "registry",
        "ServeOptions": "options",
        "Service": "service",
        "open_named": "gateway.server",
        "serve": "gateway.server",
    },
)
