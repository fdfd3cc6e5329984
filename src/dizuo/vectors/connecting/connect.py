"""`connect(url)`: one function for every database."""

from __future__ import annotations

from pathlib import Path

from dizuo.errors import VectorError, did_you_mean
from dizuo.events import Watcher, ignore
from dizuo.vectors.connecting.addresses import Option, bind, parse_url
from dizuo.vectors.protocol.collection import CollectionRequest
from dizuo.vectors.protocol.store import Store
from dizuo.vectors.scores import METRICS, Metric
from dizuo.vectors.stores import STORES
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.naming import check_name
from dizuo.vectors.writing.retrying import Patience

__all__ = ["connect"]


def connect(
    url: str,
    *,
    dim: int | None = None,
    metric: Metric | None = None,
    collection: str = "default",
    namespace: str = "",
    create: bool = True,
    lexical: str | Path | None = None,
    patience: Patience | None = None,
    watch: Watcher = ignore,
    **options: Option,
) -> VectorStore:
    """Return a collection of vectors in a database; it is made where it does not exist yet.

    Args:
        url: `lancedb://FOLDER` (or just FOLDER), `memory://`, `postgresql://…`, and so on: one scheme per database.
        dim: numbers in a vector; only needed to make a collection.
        metric: `cosine` (the default of a new collection), `dot` or `l2`.
        collection: which set of vectors; several can live in one database.
        namespace: the part of the collection to work in; `store.namespace(name)` gives another.
        create: make the collection where there is none.
        lexical: folder of the BM25 side-car, for databases that cannot search by words themselves, or not exactly
            (`capabilities.words` is `engine`). A database in a folder has one beside it by default. All who write to
            the collection name the same folder.
        patience: how often and how long to try again while a server is busy.
        watch: is told if what the collection holds already has to be indexed for a new side-car, once.
        options: those of the store, as in the URL's query.

    Raises:
        VectorError: there is no such database, or it disagrees.
        MissingPackage: its client is not installed.

    Example:
        >>> import dizuo
        >>> from dizuo.vectors import Point, field
        >>> store = dizuo.connect("memory://", dim=2)
        >>> store.upsert([Point("a", [1, 0], {"lang": "zh"}), Point("b", [0, 1], {"lang": "en"})]).rows
        2
        >>> store.search([1, 1], k=1, where=field("lang") == "zh").ids
        ['a']
    """
    parts = parse_url(url)
    if dim is not None and (type(dim) is not int or not 1 <= dim <= 65_536):
        raise VectorError(f"dim is {dim!r}, and a vector has 1 to 65,536 numbers")
    if metric not in (None, *METRICS):
        raise VectorError(f"there is no metric {metric!r}{did_you_mean(str(metric), METRICS)}", hint=", ".join(METRICS))
    check_name(collection, noun="collection")
    check_name(namespace, noun="namespace", empty=True)
    database = STORES.load(parts.scheme)
    bound = bind(database.options, {**parts.query, **options}, store=parts.scheme)
    request = CollectionRequest(collection, dim, metric, create, sidecar=lexical is not None)
    patience = patience or Patience()
    store = patience(lambda: database.open(parts, request, bound))
    try:
        _check_limits(store, parts.scheme)
        store = _add_sidecar(store, lexical, watch)
        return VectorStore(store, namespace=namespace, patience=patience, url=str(parts))
    except BaseException:
        store.close()
        raise


def _check_limits(store: Store, scheme: str) -> None:
    """Refuse a collection whose metric or dimension the database cannot hold."""
    able, spec = store.capabilities, store.spec
    if spec.metric not in able.metrics:
        raise VectorError(f"{scheme}:// has no metric {spec.metric!r}", hint=f"it has {', '.join(able.metrics)}")
    if able.max_dim is not None and spec.dim > able.max_dim:
        raise VectorError(f"{scheme}:// holds vectors of at most {able.max_dim:,} numbers, not {spec.dim:,}")


def _add_sidecar(store: Store, lexical: str | Path | None, watch: Watcher) -> Store:
    """Return the store with a BM25 side-car, where it has no exact words of its own and there is a folder for one."""
    able, folder = store.capabilities, lexical
    if able.lexical == "none" and folder is None:
        folder = store.sidecar_folder
    if folder is None or (able.lexical != "none" and able.words == "exact"):
        return store
    from dizuo.vectors.lexical.sidecar_store import WithSidecar

    return WithSidecar(store, Path(folder), watch=watch)
