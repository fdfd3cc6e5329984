"""Hard negatives: passages that a search finds near a question and that do not answer it, to train an embedder with."""

from __future__ import annotations

from collections.abc import Mapping

from dizuo.errors import EvaluationError
from dizuo.records import TextPair
from dizuo.vectors.filters.tree import field
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
from dizuo.vectors.knowledge.retrieval_metrics import Relevant

__all__ = ["mine_hard_negatives"]


def mine_hard_negatives(
    knowledge_base: KnowledgeBase,
    queries: Mapping[str, str],
    relevant: Relevant,
    *,
    negatives: int = 4,
    depth: int = 50,
    margin: float = 0.95,
) -> list[TextPair]:
    """Return training pairs for an embedder: a query, a passage that answers it, and near ones that do not.

    A passage of a document that is not judged relevant may well answer the query all the same. So those that score
    above `margin` times the positive passage's score are left out (positive-aware mining: Moreira et al. 2024,
    NV-Retriever, arXiv:2407.15831, TopK-PercPos, 95 %).

    Args:
        knowledge_base: searched by vector, exactly.
        queries: query id → text.
        relevant: query id → source → grade.
        negatives: passages per pair at most; fewer where fewer are found.
        depth: passages looked at for each query.
        margin: share of the positive's score that a negative may have, for cosine and dot.

    Returns:
        One pair for each query and relevant document that the knowledge base holds, with the document's best passage.

    Raises:
        EvaluationError: the scores are distances, of which no share can be taken.
    """
    if knowledge_base.head.metric == "l2":
        raise EvaluationError("hard negatives are mined by cosine or dot, and this knowledge base has l2")
    pairs = []
    for id, text in queries.items():
        good = [source for source, grade in relevant.get(id, {}).items() if grade > 0]
        if not good:
            continue
        near = knowledge_base.search(text, depth, mode="dense", exact=True)
        for source in good:
            best = knowledge_base.search(text, 1, mode="dense", exact=True, where=field("source") == source)
            if not best:
                continue
            limit = margin * best[0].score if best[0].score > 0 else best[0].score
            wrong = [passage.text for passage in near if passage.source not in good and passage.score <= limit]
            chosen = [passage for passage in dict.fromkeys(wrong) if passage != best[0].text]
            pairs.append(TextPair(text, best[0].text, tuple(chosen[:negatives]), group=id, id=f"{id}/{source}"))
    return pairs
