"""A name or a folder becomes a service: the bundle is found and verified, the engine opened, the head checked.

"tickets@3" ──► find_bundle ──► Bundle ──► open_service ──► Service
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from dizuo import engines, packages
from dizuo.engines import EngineOptions
from dizuo.events import Finished, Started, Watcher, ignore
from dizuo.serving.bundle import files as bundles
from dizuo.serving.bundle.files import Bundle
from dizuo.serving.bundle.heads import check_head, read_head
from dizuo.serving.registry import Registry
from dizuo.serving.service import Service

__all__ = ["NamedBundle", "find_bundle", "load_service", "open_named", "open_service"]


@dataclass(frozen=True, slots=True)
class NamedBundle:
    """A verified bundle, and how it is called."""

    name: str
    """What requests call it."""
    reference: str
    """Full reference of the release, such as `tickets@3`; of a folder, the bundle's name."""
    bundle: Bundle


def find_bundle(name: str | Path) -> NamedBundle:
    """Return the verified bundle of a registered name or a bundle folder.

    A text with a `/` or a folder that has a bundle.json is a folder, everything else a name.

    Raises:
        ServingError: there is none, or its files are not those that were built.
    """
    path = Path(name)
    if isinstance(name, Path) or "/" in name or (path / "bundle.json").is_file():
        bundle = bundles.open(path)
        return NamedBundle(bundle.name, bundle.name, bundle)
    release, bundle = Registry().open(name)
    return NamedBundle(release.name, str(release), bundle)


@packages.needs("serving a model")
def open_named(name: str | Path, *, options: EngineOptions | None = None, watch: Watcher = ignore) -> Service:
    """Return the service of a registered name or a bundle folder; the caller closes it."""
    return load_service(find_bundle(name), options=options, watch=watch)


def load_service(named: NamedBundle, *, options: EngineOptions | None = None, watch: Watcher = ignore) -> Service:
    """Return the service of a named bundle; the watcher is told how long loading takes."""
    started = time.monotonic()
    watch(Started(f"load {named.reference}"))
    service = open_service(named.bundle, name=named.name, options=options, watch=watch)
    watch(Finished(f"load {named.reference}", time.monotonic() - started))
    return service


def open_service(
    bundle: Bundle, *, name: str | None = None, options: EngineOptions | None = None, watch: Watcher = ignore
) -> Service:
    """Return the service of a bundle: base model, adapter or weights, tokenizer, task and head.

    Args:
        bundle: verified, from `bundle.open` or the registry.
        name: what requests call it; None is the bundle's own name.
        options: of the engine.
        watch: told of a base model that has to be fetched.
    """
    adapters = {} if bundle.adapter is None else {"bundle": bundle.adapter}
    adapter = "bundle" if adapters else None
    engine = engines.open(bundle.spec(watch=watch), adapters=adapters, options=options)
    try:
        head, tokenizer, folder = read_head(bundle), bundle.tokenizer(), bundle.adapter or bundle.weights
        if head is not None and folder is not None:
            check_head(folder, head, engine=engine, adapter=adapter, tokenizer=tokenizer, task=bundle.task)
        return Service(
            name=name or bundle.name,
            engine=engine,
            tokenizer=tokenizer,
            adapter=adapter,
            task=bundle.task,
            generation=bundle.generation,
            fingerprint="dizuo-" + bundle.digest.removeprefix("sha256:")[:12],
            head=head,
        )
    except BaseException:
        engine.close()
        raise
