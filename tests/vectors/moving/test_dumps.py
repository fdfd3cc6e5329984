"""Anybody's Parquet files are read, and those that cannot be told apart are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dizuo.errors import VectorError
from dizuo.vectors import connect, import_parquet
from dizuo.vectors.moving.dumps import Layout, detect_columns
from dizuo.vectors.moving.importing import read_shape

DUMPS: dict[str, tuple[dict[str, Any], Layout]] = {
    "cohere wikipedia": (
        {"id": [7, 8], "title": ["a", "b"], "text": ["x", "y"], "views": [1.5, None], "emb": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("emb", "id", "text"),
    ),
    "qdrant dbpedia": (
        {"_id": ["<a>", "<b>"], "title": ["a", "b"], "text": ["x", "y"], "openai": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("openai", "_id", "text"),
    ),
    "pinecone": (
        {"id": ["a", "b"], "values": [[1.0, 2.0], [3.0, 4.0]], "metadata": ['{"n": 1}', None]},
        Layout("values", "id", None, "metadata"),
    ),
    "vectordbbench": ({"id": [0, 1], "emb": [[1.0, 2.0], [3.0, 4.0]]}, Layout("emb", "id")),
    "no id, a strange name": (
        {"content": ["x", "y"], "text-3-large": [[1.0, 2.0], [3.0, 4.0]]},
        Layout("text-3-large", None, "content"),
    ),
}


@pytest.mark.parametrize("name", DUMPS)
def test_public_dumps_are_read_as_they_are(name: str, tmp_path: Path) -> None:
    columns, layout = DUMPS[name]
    table = pa.table(columns)
    pq.write_table(table, tmp_path / "d.parquet")
    assert detect_columns(table.schema) == layout
    dim, metric = read_shape(tmp_path)
    assert (dim, metric) == (2, None)
    store = connect("memory://", dim=dim)
    assert import_parquet(store, tmp_path / "d.parquet").rows == 2
    ids = [str(id) for id in columns[layout.id]] if layout.id else ["0", "1"]
    first, second = store.fetch(ids)
    assert np.asarray(second.vector).tolist() == [3.0, 4.0]
    assert first.document == (columns[layout.document][0] if layout.document else None)
    if name == "cohere wikipedia":
        assert (first.metadata, second.metadata) == ({"title": "a", "views": 1.5}, {"title": "b"})
    if name == "pinecone":
        assert (first.metadata, second.metadata) == ({"n": 1}, {})


def test_files_whose_columns_cannot_be_told_apart_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [[1.0]], "b": [[2.0]]}), tmp_path / "two.parquet")
    with pytest.raises(VectorError, match="several columns can be the vector: a, b"):
        read_shape(tmp_path / "two.parquet")
    assert read_shape(tmp_path / "two.parquet", layout=Layout("b")) == (1, None)
    with pytest.raises(VectorError, match="other columns"):
        read_shape(tmp_path / "two.parquet", layout=Layout("c"))
    pq.write_table(pa.table({"a": ["x"]}), tmp_path / "none.parquet")
    with pytest.raises(VectorError, match="no column holds lists of numbers"):
        read_shape(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(VectorError, match="is no Parquet file"):
        read_shape(tmp_path / "bad.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(VectorError, match="there is no Parquet file"):
        read_shape(tmp_path / "empty")
    pq.write_table(pa.table({"v": pa.array([[1.0, 2.0], [1.0]])}), tmp_path / "ragged.parquet")
    with pytest.raises(VectorError, match=r"ragged.parquet, row 2 \('1'\): the vector has 1 numbers, not 2"):
        import_parquet(connect("memory://", dim=2), tmp_path / "ragged.parquet")
