"""How well a search finds what is relevant, and what it finds instead: figures with intervals, and hard negatives.

The figures are trec_eval's, through ir-measures (the last release of pytrec_eval itself is of 2020, ranx compiles
with numba at first use; ir-measures runs the pytrec_eval fork that its authors keep up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dizuo.errors import EvaluationError, MissingPackage
from dizuo.records import TextPair

if TYPE_CHECKING:
    from dizuo.significance import Interval
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase

__all__ = ["Relevant", "Retrieval", "evaluate_retrieval", "mine_hard_negatives", "sources_of"]

Relevant = Mapping[str, Mapping[str, int]]
"""Query id → document → grade; 0 is judged and not relevant."""


@dataclass(frozen=True, slots=True)
class Retrieval:
    """Figures of a search over a set of queries, each with its 95 % interval over queries (BCa bootstrap)."""

    k: int
    ndcg: Interval
    """nDCG@k: Järvelin & Kekäläinen 2002, with grades as gains, as trec_eval's `ndcg_cut`."""
    recall: Interval
    """recall@k: relevant documents among the first k, of all relevant ones."""
    mrr: Interval
    """Reciprocal rank of the first relevant document within k, 0 where there is none."""
    per_query: Mapping[str, Mapping[str, float]]
    """Query id → `ndcg`, `recall`, `mrr`, for paired comparisons."""


def evaluate_retrieval(
    search: Callable[[str], Sequence[str]], queries: Mapping[str, str], relevant: Relevant, *, k: int = 10
) -> Retrieval:
    """Return how well a search finds the relevant documents.

    Args:
        search: query text → document names, best first; a name that stands there twice counts once, at its best.
        queries: query id → text. Every one must have a relevant document.
        relevant: the judgements.
        k: the cut of all three figures.

    Raises:
        EvaluationError: there are no queries, or some have nothing relevant; details name them.
        MissingPackage: ir-measures is not installed.
    """
    try:
        import ir_measures
    except ImportError as error:
        raise MissingPackage("ir-measures", purpose="evaluating retrieval", install="dizuo[retrieval]") from error
    from dizuo.significance import bootstrap_mean

    lost = [id for id in queries if not any(grade > 0 for grade in relevant.get(id, {}).values())]
    if lost or not queries:
        raise EvaluationError(
            f"{len(lost)} of {len(queries)} queries have no relevant document" if lost else "there are no queries",
            details=[f"{id}: {queries[id][:60]!r}" for id in lost[:5]],
            hint="leave them out: their figures are not defined",
        )
    run = {}
    for id, text in queries.items():
        found = list(dict.fromkeys(search(text)))[:k]
        run[id] = {name: float(len(found) - place) for place, name in enumerate(found)}  # ranks, so ties are ours
    measures: dict[Any, str] = {
        ir_measures.nDCG @ k: "ndcg", ir_measures.R @ k: "recall", ir_measures.RR @ k: "mrr",
    }  # fmt: skip
    # A query that found nothing is no row of a run; a document that nobody judged makes it one that scores 0.
    filled = {id: scores or {"\0nothing": 1.0} for id, scores in run.items()}
    judged = {id: dict(relevant[id]) for id in queries}
    per_query: dict[str, dict[str, float]] = {id: {} for id in queries}
    for row in ir_measures.iter_calc(list(measures), judged, filled):
        per_query[row.query_id][measures[row.measure]] = float(row.value)
    intervals = {name: bootstrap_mean([row[name] for row in per_query.values()]) for name in measures.values()}
    return Retrieval(k, intervals["ndcg"], intervals["recall"], intervals["mrr"], per_query)


def sources_of(knowledge_base: KnowledgeBase, *, k: int = 10, **options: Any) -> Callable[[str], list[str]]:
    """Return a search for `evaluate_retrieval`: query → sources of the k best documents, each by its best passage.

    Args:
        knowledge_base: where to search.
        k: documents wanted. Passages are asked for in growing numbers until so many documents are among them.
        options: of `KnowledgeBase.search`, such as `mode="dense"` and `exact=True`.
    """

    def search(query: str) -> list[str]:
        asked = k
        while True:
            passages = knowledge_base.search(query, asked, **options)
            found = list(dict.fromkeys(passage.source for passage in passages))
            if len(found) >= k or len(passages) < asked:
                return found[:k]
            asked *= 4

    return search


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
    from dizuo.vectors.filters.tree import field

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
