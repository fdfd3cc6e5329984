"""The last step: bundles, the registry of releases, and models that answer requests.

A trained run goes in; a bundle is written, registered as a release and opened as a service, which answers over HTTP
or in the terminal.

bundle/             a folder that can be served anywhere and proves what it is
registry.py         releases by name, version and alias
release_names.py    what `tickets`, `tickets@3` and `tickets:prod` mean
opening.py          from a name or a folder to a service: bundle, engine, head
service.py          one model that can be asked: messages in, pieces of text out
detokenizing.py     token ids back into text, in whole characters
stop_strings.py     cuts an answer at a stop string
gateway/            the service over HTTP, with OpenAI's routes
chat.py             the service in a conversation, without a server
options.py          ServeOptions: address, keys, limits, engine

Importing this package loads the standard library only; each name is bound when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dizuo import lazy

if TYPE_CHECKING:
    from dizuo.serving.bundle.files import Bundle
    from dizuo.serving.chat import Conversation
    from dizuo.serving.gateway.server import serve
    from dizuo.serving.opening import open_named
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
        "open_named": "opening",
        "serve": "gateway.server",
    },
)
