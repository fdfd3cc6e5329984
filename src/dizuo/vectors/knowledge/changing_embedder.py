"""`change_embedder` gives a knowledge base another embedder: a shadow index, a gate on a query set, one write to swap.

Every chunk is embedded again from the text that the database holds, so no source file is needed. Until the swap
nothing that is searched changes; a process killed before it leaves a shadow that the next attempt replaces. Who has the
old generation open is told by its next call (`generations.py`); what was written to it at the moment of the swap is
taken over.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from dizuo.errors import VectorError
from dizuo.events import Finished, Note, Progress, Started, Watcher, ignore
from dizuo.vectors.embedders import Embedder
from dizuo.vectors.filters.tree import Filter, field
from dizuo.vectors.knowledge.generations import Head, Record, read_head, read_records, write_head
from dizuo.vectors.knowledge.knowledge_base import KnowledgeBase
from dizuo.vectors.knowledge.retrieval_metrics import Relevant, Retrieval, evaluate_retrieval, sources_of
from dizuo.vectors.points import Point

__all__ = ["Changed", "change_embedder"]

_MARK = "change"
"""Record of `about` that says which two generations a change is between, while it lasts."""
_ROWS = 512


@dataclass(frozen=True, slots=True)
class Changed:
    """What became of an attempt to change the embedder."""

    swapped: bool
    before: Retrieval | None
    """None where there were no queries."""
    after: Retrieval | None
    reason: str
    knowledge_base: KnowledgeBase
    """The current one: the new generation where `swapped`, else the old."""


def change_embedder(
    knowledge_base: KnowledgeBase,
    embedder: Embedder,
    queries: Mapping[str, str] | None = None,
    relevant: Relevant | None = None,
    *,
    k: int = 10,
    tolerance: float = 0.0,
    keep_old: bool = False,
    watch: Watcher = ignore,
) -> Changed:
    """Embed everything anew with another model, and take it only if it finds as much, where queries are given.

    Args:
        knowledge_base: as it is; do not sync it meanwhile.
        embedder: the new one.
        queries: query id → text, the gate's. Without them nothing is compared, and the new one is taken.
        relevant: query id → source → grade.
        k: the gate compares recall@k, dense and exact.
        tolerance: recall that may be lost, 0 to 1.
        keep_old: leave the old generation's collection, for a way back by hand.
        watch: hears of the progress.

    Raises:
        VectorError: the knowledge base was changed by somebody else meanwhile; the shadow is removed.
    """
    old = knowledge_base.head
    if embedder.digest == old.digest:
        raise VectorError(f"{embedder.name} is the embedder that {knowledge_base.name!r} has already")
    if (queries is None) != (relevant is None):
        raise VectorError("queries and relevant are given together", hint="or neither: then nothing is compared")

    def evaluate(base: KnowledgeBase) -> Retrieval | None:
        if queries is None or relevant is None:
            return None
        return evaluate_retrieval(sources_of(base, k=k, mode="dense", exact=True), queries, relevant, k=k)

    before = evaluate(knowledge_base)
    head = Head(
        old.generation + 1, embedder.name, embedder.digest, embedder.dim, embedder.metric, old.size, old.overlap
    )
    _remove_leftovers(knowledge_base)
    row = {"old": asdict(old), "new": asdict(head)}
    knowledge_base.about.upsert(Point(_MARK, [1.0], {"change": row}))
    shadow = KnowledgeBase(knowledge_base.address, knowledge_base.name, embedder, head, knowledge_base.options)
    shadow.current = False
    try:
        _fill_shadow(knowledge_base, shadow, watch)
        after = evaluate(shadow)
        reason = "no queries were given, so nothing was compared"
        is_worse = False
        if before is not None and after is not None:
            was, now = before.recall.estimate, after.recall.estimate
            reason = f"recall@{k} {was:.4f} → {now:.4f}, at most {tolerance:g} may be lost"
            is_worse = now < was - tolerance
        if is_worse:
            _remove_generation(shadow)
            knowledge_base.about.delete(_MARK)
            watch(Note(f"{embedder.name} was not taken: {reason}"))
            return Changed(False, before, after, reason, knowledge_base)
        held = read_records(knowledge_base.records)
        if read_head(knowledge_base.about) != old or held != read_records(shadow.records):
            raise VectorError(f"{knowledge_base.name!r} was changed while its embedder was", hint="do it again")
    except BaseException:
        _remove_generation(shadow)
        raise
    write_head(shadow.about, head)
    shadow.current = True
    _take_over(knowledge_base, shadow, held, watch)
    watch(Note(f"{embedder.name} was taken: {reason}"))
    if keep_old:
        knowledge_base.close()
    else:
        _remove_generation(knowledge_base)
    shadow.about.delete(_MARK)
    return Changed(True, before, after, reason, shadow)


def _remove_leftovers(knowledge_base: KnowledgeBase) -> None:
    """Remove what an attempt left that was killed: its shadow, or the old generation after the swap."""
    mark = knowledge_base.about.get(_MARK)
    if mark is None:
        return
    for row in mark.metadata["change"].values():
        left = Head(**row)
        if left.generation != knowledge_base.head.generation:
            knowledge_base.about.namespace(f"g{left.generation}").clear()
            with knowledge_base.open_generation(left) as chunks:
                chunks.drop()
    knowledge_base.about.delete(_MARK)


def _take_over(old: KnowledgeBase, new: KnowledgeBase, held: Mapping[str, Record], watch: Watcher) -> None:
    """Bring over what was written to the old generation after the two were compared and before the new was current.

    Whoever wrote it saw the old one as the current one. Documents that the new one has got in another way stay.
    """
    now, there = read_records(old.records), read_records(new.records)
    late = {source for source in {*held, *now} if held.get(source) != now.get(source)}
    sources = sorted(source for source in late if there.get(source) == held.get(source))
    if not sources:
        return
    new.delete(sources)
    for source in sources:
        _fill_shadow(old, new, watch, where=field("source") == source)


def _fill_shadow(source: KnowledgeBase, target: KnowledgeBase, watch: Watcher, *, where: Filter | None = None) -> None:
    began, done, total = time.monotonic(), 0, source.chunks.count(where)
    watch(Started("re-embed", total, "chunks"))
    # Before the chunks: a document that changes while these are read differs then from what is written here.
    records = list(source.records.points(where))
    for block in source.chunks.scan(where, columns=["metadata", "documents"], rows=_ROWS):
        texts = [text or "" for text in block.documents]
        vectors = target.embedder.embed(texts, watch=watch)
        target.unknown.add(target.embedder, texts)
        rows = zip(block.ids, vectors, block.metadata, texts, strict=True)
        target.chunks.upsert([Point(id, vector, row, text) for id, vector, row, text in rows])
        done += len(texts)
        watch(Progress("re-embed", done, total, "chunks", rate=done / max(1e-9, time.monotonic() - began)))
    target.records.upsert(records)
    target.unknown.warn(target.embedder, watch)
    watch(Finished("re-embed", time.monotonic() - began, f"{done:,} chunks"))


def _remove_generation(generation: KnowledgeBase) -> None:
    """Remove a generation's chunks and records, and close it."""
    generation.records.clear()
    generation.chunks.drop()
    generation.close()
