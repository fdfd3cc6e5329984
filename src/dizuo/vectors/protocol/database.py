"""`Database`: what every file in `stores/` ends in. `store.py` says how such a file is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from dizuo.errors import PluginError
from dizuo.plugins import check_fields
from dizuo.vectors.connecting.addresses import Url
from dizuo.vectors.protocol.collection import CollectionRequest
from dizuo.vectors.protocol.limits import Limit
from dizuo.vectors.protocol.store import Store

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["Database"]

OptionsT = TypeVar("OptionsT", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Database(Generic[OptionsT]):
    """A kind of database that `connect` can open.

    Raises:
        PluginError: a field is not what it should be.
    """

    options: type[OptionsT]
    """A dataclass: what the query of the URL and keyword arguments may set. Every field has a default. What holds a
    secret is of the type `dizuo.redaction.Secret`; `LoginOptions` and `KeyOptions` of `connecting.options` have it."""
    open: Callable[[Url, CollectionRequest, OptionsT], Store]
    """Connect, find or make the collection that is asked for, and return it."""
    limits: tuple[Limit, ...] = ()
    """What the database allows and what is done at it, for the table in the docs; of every kind in `limits.KINDS`."""
    form: Literal["server", "folder", "either"] = "either"
    """What its addresses name: `server`, with user and password; `folder`, without; `either`."""
    extras: tuple[str, ...] | None = None
    """What may follow a `+` in the scheme, such as `https`; None lets anything pass."""
    name: str = ""
    """The scheme of its URLs. The loader fills it in; it is the name of the file or of the entry point."""

    def __post_init__(self) -> None:
        check_fields(self)
        if not is_dataclass(self.options):
            raise PluginError(f"options is {self.options.__name__}, not a dataclass")
        without = [
            field.name
            for field in fields(self.options)
            if field.init and field.default is MISSING and field.default_factory is MISSING
        ]
        if without:
            raise PluginError(f"the option {without[0]!r} has no default")
