"""The flags that commands on stores share, and the store that they name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dizuo.vectors import VectorStore

__all__ = ["COLLECTION", "LEXICAL", "NAMESPACE", "WHERE", "opened", "shortened"]

COLLECTION = click.option("--collection", metavar="NAME", default="default", help="Which set of vectors.")
NAMESPACE = click.option("--namespace", metavar="NAME", default="", help="Which part of the collection.")
LEXICAL = click.option("--lexical", metavar="FOLDER", help="Where the index of words is, for engines without one.")
WHERE = click.option("--where", metavar="FILTER", help="Which records, as in 'lang == \"zh\" and year >= 2020'.")


def opened(url: str, *, collection: str, namespace: str = "", lexical: str | None = None, **more: Any) -> VectorStore:
    """Return the store that a command line names; it must be there unless `dim` is given."""
    from dizuo.cli.render import watching
    from dizuo.vectors import connect

    with watching() as watch:  # a new index of words may have to be filled
        return connect(url, collection=collection, namespace=namespace, lexical=lexical, watch=watch, **more)


def shortened(value: Any, width: int = 60) -> str:
    """Return a JSON value as one short line."""
    import json

    from dizuo.cli.clean import excerpt

    return excerpt(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), width)
