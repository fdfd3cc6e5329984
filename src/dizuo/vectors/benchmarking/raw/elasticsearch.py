"""Elasticsearch by hand, with its own client and its helper for bulk writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from dizuo.vectors.benchmarking.raw import RawClient, RawRow
from dizuo.vectors.connecting.addresses import parse_url
from dizuo.vectors.points import Floats

__all__ = ["RAW"]


def open_raw(url: str, dim: int, table: str) -> RawElastic:
    """Return an index of this name on the server."""
    return RawElastic(url, dim, table)


class RawElastic:
    """An Elasticsearch index of vectors, with the same graph as dizuo's."""

    def __init__(self, url: str, dim: int, table: str) -> None:
        import elasticsearch

        address = parse_url(url)
        scheme = "https" if address.extra == "https" else "http"
        login = {"basic_auth": (address.user, address.password or "")} if address.user else {}
        self.client: Any = elasticsearch.Elasticsearch(
            f"{scheme}://{address.host}:{address.port or 9200}",
            request_timeout=60,
            **login,
        )
        self.dim, self.table = dim, table

    def recreate(self, *, words: bool = False) -> None:
        """Make the index, empty; with an index of the documents' words where they are asked for."""
        self.client.indices.delete(index=self.table, ignore_unavailable=True)
        graph = {"type": "hnsw", "m": 16, "ef_construction": 200}
        text = {"type": "text", "analyzer": "whitespace"}
        fields = {
            "vector": {
                "type": "dense_vector", "dims": self.dim, "index": True, "similarity": "cosine", "index_options": graph,
            },
            "metadata": {"type": "flattened"},
            "document": text if words else {"type": "keyword", "index": False, "doc_values": False},
        }  # fmt: skip
        self.client.indices.create(index=self.table, mappings={"dynamic": False, "properties": fields})

    def upsert(self, batch: Any) -> None:
        """Insert or replace the rows of an Arrow table."""
        from elasticsearch.helpers import bulk

        def actions() -> Iterator[dict[str, Any]]:
            columns = (batch.column(name).to_pylist() for name in ("id", "vector", "metadata", "document"))
            for id, vector, metadata, document in zip(*columns, strict=True):
                yield {"_id": id, "vector": vector, "metadata": json.loads(metadata), "document": document}

        bulk(self.client, actions(), index=self.table, chunk_size=1000)
        self.client.indices.refresh(index=self.table)

    def search(self, query: Floats) -> list[RawRow]:
        """Return the ten nearest rows."""
        knn = {"field": "vector", "query_vector": query.tolist(), "k": 10, "num_candidates": 200}
        answer = self.client.search(index=self.table, knn=knn, size=10, source_includes=["metadata", "document"])
        return [
            (hit["_id"], 2 * hit["_score"] - 1, hit["_source"]["metadata"], hit["_source"]["document"])
            for hit in answer["hits"]["hits"]
        ]

    def search_words(self, query: str) -> list[str]:
        """Return the ids of the ten best rows by words."""
        asked = {"match": {"document": query}}
        answer = self.client.search(index=self.table, query=asked, size=10, source=False)
        return [hit["_id"] for hit in answer["hits"]["hits"]]

    def close(self) -> None:
        """Remove what was made."""
        self.client.indices.delete(index=self.table, ignore_unavailable=True)
        self.client.close()


RAW = RawClient(open=open_raw)
