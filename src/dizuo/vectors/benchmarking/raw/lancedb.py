"""LanceDB by hand."""

from __future__ import annotations

import datetime
import json
import shutil
from typing import Any

from dizuo.vectors.benchmarking.raw import RawClient, RawRow
from dizuo.vectors.connecting.connect import find_store
from dizuo.vectors.points import Floats

__all__ = ["RAW"]


def open_raw(url: str, dim: int, table: str) -> RawLance:
    """Return a table in a folder of its own beside the folder that the address names."""
    parts, _ = find_store(url)
    return RawLance(f"{parts.place.rstrip('/')}-{table}", dim)


class RawLance:
    """A LanceDB table of vectors."""

    optimizes = True
    """Whether the index of words takes in what was written; otherwise every search reads what came after the index, and
    counts what is gone."""

    def __init__(self, folder: str, dim: int) -> None:
        import lancedb

        self.folder, self.dim = folder, dim
        self.database = lancedb.connect(folder, read_consistency_interval=datetime.timedelta(0))

    def recreate(self, *, words: bool = False) -> None:
        """Make the table, empty; an index of words is built at the first search by words."""
        import pyarrow as pa

        schema = pa.schema([
            ("id", pa.string()), ("vector", pa.list_(pa.float32(), self.dim)), ("metadata", pa.json_()),
            ("document", pa.string()),
        ])  # fmt: skip
        self.table = self.database.create_table("raw", schema=schema, mode="overwrite")
        self.indexed = self.behind = False

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        import pyarrow as pa

        batch = batch.set_column(2, "metadata", batch.column("metadata").combine_chunks().cast(pa.json_()))
        merge = self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(batch)
        self.behind = self.indexed

    def search(self, query: Floats) -> list[RawRow]:
        """Return the ten nearest rows."""
        nearest = self.table.search(query, vector_column_name="vector").distance_type("cosine").limit(10)
        rows = nearest.select(["id", "metadata", "document", "_distance"]).to_arrow().to_pylist()
        return [(row["id"], 1 - row["_distance"], json.loads(row["metadata"]), row["document"]) for row in rows]

    def search_words(self, query: str) -> list[str]:
        """Return the ids of the ten best rows by words."""
        from lancedb.index import FTS
        from lancedb.query import MatchQuery

        if not self.indexed:
            config = FTS(
                with_position=False, base_tokenizer="whitespace", max_token_length=None, lower_case=False, stem=False,
                remove_stop_words=False, ascii_folding=False,
            )  # fmt: skip
            self.table.create_index("document", config=config)
            self.indexed = True
        elif self.behind and self.optimizes:
            self.table.optimize()
        self.behind = False
        found = (
            self.table.search(MatchQuery(query, column="document"), query_type="fts").limit(10).select(["id", "_score"])
        )
        ids: list[str] = found.to_arrow().column("id").to_pylist()
        return ids

    def close(self) -> None:
        """Remove what was made."""
        shutil.rmtree(self.folder, ignore_errors=True)


RAW = RawClient(open=open_raw)
