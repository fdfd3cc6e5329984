"""`connect(url)`: one function for every database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dizuo import packages
from dizuo.artifacts.writing import check_place
from dizuo.errors import DizuoError, VectorError, did_you_mean
from dizuo.events import Watcher, ignore
from dizuo.redaction import hide_logins, redact_errors
from dizuo.vectors.connecting.addresses import Url, parse_url
from dizuo.vectors.connecting.forms import check_folder, check_scheme, has_scheme
from dizuo.vectors.connecting.options import Option, add_login, bind
from dizuo.vectors.protocol.collection import CollectionRequest
from dizuo.vectors.protocol.database import Database
from dizuo.vectors.protocol.errors import NoCollection
from dizuo.vectors.protocol.store import Store
from dizuo.vectors.scores import METRICS, Metric
from dizuo.vectors.stores import STORES
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.naming import check_name
from dizuo.vectors.writing.retrying import Patience

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["SQLITE_FILE", "connect", "find_engine", "find_store"]

SQLITE_FILE = "dizuo.sqlite"
"""What a folder of the store `sqlite` has in it."""


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
        url: `lancedb://FOLDER` (or just FOLDER; SQLite's where LanceDB is not installed), `memory://`,
            `postgresql://…`, and so on: one scheme per database. A password may stand in it as it is; no message, no
            log and no file shows it.
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
        options: those of the store, as in the URL's query; `password=` and `api_key=` for one that has logins.

    Raises:
        VectorError: there is no such database, or it disagrees.
        NoCollection: there is none of that name, and it is not to be made, or cannot for want of a dimension. Nothing
            is written then, and no folder is made.
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
    with redact_errors():
        parts, database = find_store(url)
        if dim is not None and (type(dim) is not int or not 1 <= dim <= 65_536):
            raise VectorError(f"dim is {dim!r}, and a vector has 1 to 65,536 numbers")
        if metric not in (None, *METRICS):
            near = did_you_mean(str(metric), METRICS)
            raise VectorError(f"there is no metric {metric!r}{near}", hint=", ".join(METRICS))
        if lexical is not None and (not isinstance(lexical, str | Path) or not str(lexical).strip()):
            raise VectorError(f"lexical is {lexical!r}, and it is a folder", hint="lexical='./words'")
        check_name(collection, noun="collection")
        check_name(namespace, noun="namespace", empty=True)
        bound = bind(database.options, {**parts.query, **options}, store=parts.scheme)
        parts = add_login(parts, bound)
        folder = None if lexical is None else check_place(lexical)
        request = CollectionRequest(collection, dim, metric, create, sidecar=lexical is not None)
        if not create or dim is None:
            _check_folder(parts, database, collection)
        patience = patience or Patience()
        store = patience(lambda: _open(database, parts, request, bound))
        try:
            _check_limits(store, parts.scheme)
            bare = store  # a new side-car reads the store, which may be busy
            store = patience(lambda: _add_sidecar(bare, folder, watch))
            return VectorStore(store, namespace=namespace, patience=patience, url=str(parts))
        except BaseException:
            store.close()
            raise


def find_store(url: str) -> tuple[Url, Database[DataclassInstance]]:
    """Return the parts of an address and the database that it names.

    Raises:
        VectorError: it is no address of a store, or was written wrongly; the hint has the right form.
    """
    if not isinstance(url, str) or not url.strip():
        what = repr(url) if isinstance(url, str) else f"an object of the type {type(url).__name__}"
        raise VectorError(f"{what} is no address of a store", hint='for example connect("lancedb://./index", dim=384)')
    names = STORES.names()
    if not has_scheme(url):
        folder = check_folder(url, names)
        name = find_engine(folder)
        return Url(name, path=folder, place=folder), STORES.load(name)
    url = url.strip()
    parts = parse_url(url.partition("://")[0] + "://")
    try:
        check_scheme(parts.scheme, names)
        database = STORES.load(parts.scheme)
    except VectorError:
        hide_logins(url)
        raise
    if parts.extra and database.extras is not None and parts.extra not in database.extras:
        hide_logins(url)
        near = did_you_mean(parts.extra, database.extras)
        forms = ", ".join(f"{parts.scheme}+{extra}://" for extra in database.extras)
        hint = f"write {parts.scheme}://{f', or {forms}' if forms else ''}"
        raise VectorError(f"{parts.scheme}:// takes no +{parts.extra}{near}", hint=hint)
    return parse_url(url, database.options, form=database.form), database


def find_engine(folder: str) -> str:
    """Return the store that a folder without a scheme belongs to: the one that is in it.

    A new one is LanceDB's where that is installed, and SQLite's where it is not.
    """
    place = Path(folder)
    if (place / SQLITE_FILE).is_file():
        return "sqlite"
    is_lance = place.is_dir() and any(place.glob("*.lance"))
    return "lancedb" if is_lance or packages.has("lancedb") else "sqlite"


def _check_folder(url: Url, database: Database[DataclassInstance], collection: str) -> None:
    """Refuse a folder of this machine that is not there, where nothing is to be made in it.

    Raises:
        NoCollection: naming it.
    """
    local = database.form == "folder" or (database.form == "either" and url.host is None)
    if not local or not url.place or url.scheme == "memory" or "://" in url.place or Path(url.place).exists():
        return
    raise NoCollection(
        f"there is no collection {collection!r}: there is no folder {url.place}", hint="check the address"
    )


def _open(
    database: Database[DataclassInstance], url: Url, request: CollectionRequest, options: DataclassInstance
) -> Store:
    """Return the open collection; what a client raises and the store did not foresee is an error of ours."""
    try:
        return database.open(url, request, options)
    except (DizuoError, MemoryError):
        raise
    except Exception as error:
        raise VectorError(f"{url} cannot be opened: {type(error).__name__}: {error}") from error


def _check_limits(store: Store, scheme: str) -> None:
    """Refuse a collection whose metric or dimension the database cannot hold."""
    able, spec = store.capabilities, store.spec
    if spec.metric not in able.metrics:
        raise VectorError(f"{scheme}:// has no metric {spec.metric!r}", hint=f"it has {', '.join(able.metrics)}")
    if able.max_dim is not None and spec.dim > able.max_dim:
        raise VectorError(f"{scheme}:// holds vectors of at most {able.max_dim:,} numbers, not {spec.dim:,}")


def _add_sidecar(store: Store, lexical: Path | None, watch: Watcher) -> Store:
    """Return the store with a BM25 side-car, where it has no exact words of its own and there is a folder for one."""
    able, folder = store.capabilities, lexical
    if able.lexical == "none" and folder is None:
        folder = store.sidecar_folder
    if folder is None or (able.lexical != "none" and able.words == "exact"):
        return store
    from dizuo.vectors.lexical.sidecar_store import WithSidecar

    return WithSidecar(store, folder, watch=watch)
