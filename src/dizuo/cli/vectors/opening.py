"""The flags that commands on stores share, and the store or the knowledge base that they name.

`--collection NAME` is a collection of that name or, where there is none, the knowledge base of that name; without it
that is the collection `default`, or else the knowledge base `knowledge`, which is what `dizuo vectors sync` makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dizuo.vectors import VectorStore
    from dizuo.vectors.knowledge.holding import Held

__all__ = [
    "COLLECTION",
    "DEFAULT",
    "KNOWLEDGE",
    "LEXICAL",
    "NAMESPACE",
    "WHERE",
    "open_store_or_base",
    "opened",
    "options_of",
    "shortened",
]

DEFAULT = "default"
"""The collection that is meant where none is named."""
KNOWLEDGE = "knowledge"
"""The knowledge base that is meant where none is named."""
COLLECTION = click.option(
    "--collection", metavar="NAME", help="Which set of vectors, or which knowledge base; 'default', else 'knowledge'."
)
NAMESPACE = click.option("--namespace", metavar="NAME", default="", help="Which part of the collection.")
LEXICAL = click.option("--lexical", metavar="FOLDER", help="Where the index of words is, for engines without one.")
WHERE = click.option("--where", metavar="FILTER", help="Which records, as in 'lang == \"zh\" and year >= 2020'.")


def options_of(lexical: str | None) -> dict[str, Any]:
    """Return what `connect` takes besides the address, of what was given."""
    return {"lexical": lexical} if lexical else {}


def opened(
    url: str, *, collection: str | None = None, namespace: str = "", lexical: str | None = None, **more: Any
) -> VectorStore:
    """Return the store that a command line names; it must be there unless `dim` is given."""
    from dizuo.cli.render import watching
    from dizuo.vectors import connect

    with watching() as watch:  # a new index of words may have to be filled
        return connect(url, collection=collection or DEFAULT, namespace=namespace, lexical=lexical, watch=watch, **more)


def open_store_or_base(
    url: str, *, collection: str | None = None, namespace: str = "", lexical: str | None = None, whole: bool = False
) -> VectorStore | Held:
    """Return the collection that a command line names, or else the knowledge base; nothing is made.

    Args:
        url: of the database.
        collection: its name, or that of a knowledge base.
        namespace: of the collection; a knowledge base has none that are for users.
        lexical: folder of the index of words.
        whole: where the name is that of a part of a knowledge base, take all of it: a part alone is of no use.

    Raises:
        NoCollection: there is neither.
    """
    from dizuo.errors import VectorError
    from dizuo.vectors.knowledge.holding import base_of, find_base
    from dizuo.vectors.protocol.errors import NoCollection

    options = options_of(lexical)
    part = base_of(collection or "") if whole else None
    if part and (held := find_base(url, part, **options)) is not None:
        click.echo(f"{collection} is a part of the knowledge base {part!r}; all of it is taken", err=True)
        return held
    try:
        return opened(url, collection=collection, namespace=namespace, lexical=lexical, create=False)
    except NoCollection as error:
        base = collection or KNOWLEDGE
        held = find_base(url, base, **options)
        if held is None:
            also = "" if "no folder" in error.message else f", and no knowledge base {base!r}"
            hint = "check the address" if not also else "name another with --collection NAME"
            raise NoCollection(f"{error.message.removesuffix(' yet')}{also}", hint=hint) from None
        if namespace:
            held.close()
            raise VectorError(f"the knowledge base {base!r} has no namespaces", hint="leave --namespace out") from None
        return held


def shortened(value: Any, width: int = 60) -> str:
    """Return a JSON value as one short line."""
    import json

    from dizuo.cli.clean import excerpt

    return excerpt(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), width)
