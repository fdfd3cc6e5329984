"""The collection of ours in Milvus: found, and made.

Its name ends in its mark. A server makes two where two processes ask for one at the same moment, since their marks
differ: then the one with the smaller number is ours, which is the older one.
"""

from __future__ import annotations

from typing import Any

from dizuo.vectors.protocol.collection import CollectionSpec
from dizuo.vectors.stores.milvus.limits import PIECES, TAGS
from dizuo.vectors.writing.naming import find_generations

__all__ = ["DIGEST", "METRICS", "find", "make"]

METRICS = {"cosine": "COSINE", "dot": "IP", "l2": "L2"}
DIGEST = 16
"""Characters of the hash of a namespace."""


def find(client: Any, root: str) -> str | None:
    """Return the name of a collection in Milvus, or None where there is none.

    Args:
        client: of Milvus.
        root: the physical name of the collection, without its mark.
    """
    names = list(find_generations(root, client.list_collections()))
    if len(names) < 2:
        return next(iter(names), None)
    return min(names, key=lambda name: (client.describe_collection(name)["collection_id"], name))


def make(client: Any, name: str, spec: CollectionSpec, graph: dict[str, int] | None) -> None:
    """Make a collection.

    Args:
        client: of Milvus.
        name: of the collection in Milvus.
        spec: what it is.
        graph: parameters of its HNSW graph; without them all vectors are compared.
    """
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=64)
    schema.add_field("id", DataType.VARCHAR, max_length=600)
    schema.add_field("ns", DataType.VARCHAR, max_length=DIGEST)
    schema.add_field("v", DataType.FLOAT_VECTOR, dim=spec.dim)
    for field, most, length in (("t", TAGS, 20), ("m", PIECES, 65_535), ("d", PIECES, 65_535)):
        schema.add_field(field, DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=most, max_length=length)
    schema.add_field("n", DataType.JSON)
    index = client.prepare_index_params()
    kind = "FLAT" if graph is None else "HNSW"
    index.add_index("v", index_type=kind, metric_type=METRICS[spec.metric], params=graph or {})
    client.create_collection(name, schema=schema, index_params=index, consistency_level="Strong")
