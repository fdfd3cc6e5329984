"""Retrieval metrics: nDCG, recall and reciprocal rank of a search over a set of queries, each with an interval.

    report = evaluate_retrieval(sources_of(knowledge_base, k=10), queries, relevant, k=10)
    report.ndcg.estimate, report.recall.low

The figures are trec_eval's, through ir-measures (the last release of pytrec_eval itself is of 2020, ranx compiles
with numba at first use; ir-measures runs the pytrec_eval fork that its authors keep up).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dizuo.errors import EvaluationError, MissingPackage

if TYPE_CHECKING:
    from dizuo.significance import Interval
    from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase

__all__ = ["Relevant", "Retrieval", "evaluate_retrieval", "sources_of"]

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
    from dizuo.significance import bounded_mean

    without = [id for id in queries if not any(grade > 0 for grade in relevant.get(id, {}).values())]
    if without or not queries:
        raise EvaluationError(
            f"{len(without)} of {len(queries)} queries have no relevant document"
            if without
            else "there are no queries",
            details=[f"{id}: {queries[id][:60]!r}" for id in without[:5]],
            hint="leave them out: their figures are not defined",
        )
    run = {}
    for id, text in queries.items():
        names = list(dict.fromkeys(search(text)))[:k]
        run[id] = {name: float(len(names) - rank) for rank, name in enumerate(names)}  # ranks, so ties are ours
    measures: dict[Any, str] = {
        ir_measures.nDCG @ k: "ndcg", ir_measures.R @ k: "recall", ir_measures.RR @ k: "mrr",
    }  # fmt: skip
    # A query that found nothing is no row of a run; a document that nobody judged makes it one that scores 0.
    filled = {id: scores or {"\0nothing": 1.0} for id, scores in run.items()}
    judged = {id: dict(relevant[id]) for id in queries}
    per_query: dict[str, dict[str, float]] = {id: {} for id in queries}
    for row in ir_measures.iter_calc(list(measures), judged, filled):
        per_query[row.query_id][measures[row.measure]] = float(row.value)
    intervals = {name: bounded_mean([row[name] for row in per_query.values()]) for name in measures.values()}
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
            sources = list(dict.fromkeys(passage.source for passage in passages))
            if len(sources) >= k or len(passages) < asked:
                return sources[:k]
            asked *= 4

    return search
