"""Raw clients: for each database the shortest code that a competent user writes for the same result as dizuo's.

    elasticsearch.py    Elasticsearch
    lancedb.py          LanceDB
    postgresql.py       pgvector, with psycopg
    redis.py            Redis with the search module

A raw client reads the same Arrow input, keeps metadata as JSON that can be filtered and documents in a column, and
replaces records that have the same id. What it wrote is visible to everybody when it returns. A search returns id,
cosine, metadata and document. Words are the database's own, over documents of words with spaces between them.
`overhead.py` measures raw clients beside dizuo.

A raw client is a file named after its URL scheme:

    def open_raw(url: str, dim: int, table: str) -> RawTable:
        return MyTable(url, dim, table)

    RAW = RawClient(open=open_raw)

Third parties name theirs in the entry-point group `dizuo.vectors.benchmarking.raw`; `dizuo.testing.RawClientSuite`
tests one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from dizuo.errors import VectorError
from dizuo.plugins import Kind, check_fields

if TYPE_CHECKING:
    import pyarrow as pa

    from dizuo.vectors.points import Floats

__all__ = ["RAW", "RawClient", "RawRow", "RawTable"]


RawRow: TypeAlias = "tuple[str, float, Mapping[str, object], str | None]"
"""What a search brings of a row: id, cosine, metadata, document."""


class RawTable(Protocol):
    """One table of vectors, used with the database's own client."""

    def recreate(self, *, words: bool = False) -> None:
        """Make the table, empty; with the database's own index of the documents' words where they are asked for."""

    def upsert(self, batch: pa.Table) -> None:
        """Insert or replace the rows of an Arrow table."""

    def search(self, query: Floats) -> Sequence[RawRow]:
        """Return the ten nearest rows."""

    def search_words(self, query: str) -> Sequence[str]:
        """Return the ids of the ten best rows by words; only where the table was made with words.

        All that was written is found: where a database builds its index later, it is built here.
        """

    def close(self) -> None:
        """Remove what was made."""


@dataclass(frozen=True, slots=True)
class RawClient:
    """A database used by hand, with its own client."""

    open: Callable[[str, int, str], RawTable]
    """(url, dimensions, table) -> a table of that name, which nothing else uses."""
    name: str = ""
    """The scheme of the URLs; filled in by `RAW.load`."""

    def __post_init__(self) -> None:
        check_fields(self)


RAW = Kind("raw client", "dizuo.vectors.benchmarking.raw", "RAW", RawClient, error=VectorError)
"""Every raw client, by the scheme of its URLs."""
