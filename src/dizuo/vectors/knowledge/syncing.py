"""What a sync is made of: candidates, which may become documents, and what it did with them.

A file is looked at three times: its digest is taken, it is read, and it must not have changed meanwhile. Whatever is
wrong with one of them is the error of that one file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dizuo.errors import DataError, DizuoError, VectorError
from dizuo.events import Warned, Watcher
from dizuo.vectors.knowledge.documents import Document, LeftOut, read_document
from dizuo.vectors.knowledge.documents.folder import Listing, describe_os_error, show_name
from dizuo.vectors.knowledge.documents.reading import fingerprint_file
from dizuo.vectors.writing.checking import metadata_fault

__all__ = [
    "Candidate",
    "RemovesEverything",
    "Synced",
    "candidate_of",
    "check_removals",
    "describe_failure",
    "list_candidates",
    "warn_of_unread",
]

_ATTEMPTS = 3
"""Times that a file is read which changes while it is read."""
_NAMED = 3
"""Names that a message gives of many."""


class RemovesEverything(DataError):
    """A sync would remove all documents there are, as one of an empty folder or of a wrong one does."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did, in documents."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    unchanged: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    """Source → why it could not be read. What was known of it before is still there. A folder that cannot be looked at
    is named with a `/` at its end, and what was known of the files below it is still there, too."""
    chunks: int = 0
    """Chunks that were embedded and written."""
    left_out: Mapping[str, tuple[LeftOut, ...]] = field(default_factory=dict)
    """Source → what of it was not read, of the documents that were added or changed."""
    warnings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Source → what is to be said of it, such as that its encoding is a guess or that parts are left out; likewise."""
    unread: Mapping[str, int] = field(default_factory=dict)
    """Kind of file that nobody reads, as in `.png` or `hidden` → how many there are."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may become a document."""

    source: str
    fingerprint: Callable[[], str]
    """Returns a digest that changes with the document."""
    load: Callable[[Watcher], tuple[Document, str]]
    """Returns the document and its digest, which is another one where it has changed meanwhile."""


def candidate_of(document: Document) -> Candidate:
    """Return a document as a candidate.

    Raises:
        DataError: it cannot be stored.
    """
    if not isinstance(document, Document):
        raise VectorError(f"{document!r:.60} is no document", hint="Document.of(text, source) makes one")
    if not isinstance(document.source, str) or not document.source:
        raise DataError(f"a document's source is {document.source!r}", hint="citations name it: any text")
    if fault := metadata_fault(document.metadata):
        raise DataError(f"{document.source}: {fault}")
    texts = [
        document.source,
        document.text,
        document.title or "",
        *(part for block in document.blocks for part in block.headings),
    ]
    try:
        for text in texts:
            text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{document.source!r} has half a character in it (U+{ord(error.object[error.start]):04X})",
            hint="read it in its right encoding",
        ) from error
    digest = _hash_document(document)
    return Candidate(document.source, lambda: digest, lambda watch: (document, digest))


def _hash_document(document: Document) -> str:
    blocks = [[b.start, b.end, list(b.headings), b.page, b.is_heading] for b in document.blocks]
    facts = json.dumps([document.text, document.title, blocks, dict(document.metadata)], sort_keys=True)
    return hashlib.sha256(facts.encode()).hexdigest()


def list_candidates(listing: Listing, *, encoding: str | None) -> Iterator[Candidate]:
    """Yield the files of a listing; what goes wrong with one is a DataError that names it."""
    for source, path in listing.files.items():
        file = _File(source, path, encoding)
        yield Candidate(source, file.fingerprint, file.load)


class _File:
    """A file that is read as one state of it."""

    def __init__(self, source: str, path: Path, encoding: str | None) -> None:
        self._source, self._path, self._encoding = source, path, encoding
        self._state: tuple[int, ...] = ()
        self._digest = ""

    def fingerprint(self) -> str:
        """Return the digest of the file."""
        try:
            self._state = self._look()
            self._digest = fingerprint_file(self._path, encoding=self._encoding)
        except OSError as error:
            reason = "it vanished" if isinstance(error, FileNotFoundError) else describe_os_error(error)
            raise DataError(
                f"{self._source} cannot be read: {reason}: {show_name(self._path)}",
                hint="sync again when it can be read",
            ) from error
        return self._digest

    def load(self, watch: Watcher) -> tuple[Document, str]:
        """Return the document and its digest, of one state of the file."""
        for _ in range(_ATTEMPTS):
            told: list[Warned] = []

            def hear(event: object, told: list[Warned] = told) -> None:
                told += [event] if isinstance(event, Warned) else []

            document = read_document(self._path, source=self._source, encoding=self._encoding, watch=hear)
            if self._is_the_same():
                for event in told:
                    watch(event)
                return document, self._digest
            self.fingerprint()
        raise DataError(
            f"{self._source} cannot be read: it changes while it is read", hint="sync again when nobody writes it"
        )

    def _is_the_same(self) -> bool:
        try:
            return self._look() == self._state
        except OSError:
            return False

    def _look(self) -> tuple[int, ...]:
        found = os.stat(self._path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def warn_of_unread(listing: Listing, watch: Watcher) -> None:
    """Tell the watcher how many files nobody reads, by kind, with some of their names."""
    if not listing.unread:
        return
    shown = []
    for kind, names in sorted(listing.unread.items(), key=lambda item: -len(item[1])):
        more = ", …" if len(names) > _NAMED else ""
        shown.append(f"{len(names):,} {kind} ({', '.join(names[:_NAMED])}{more})")
    total = sum(map(len, listing.unread.values()))
    watch(Warned(f"{total:,} {'entry is' if total == 1 else 'entries are'} not read: {', '.join(shown)}"))


def check_removals(known: Collection[str], gone: Collection[str], *, where: str, one_file: bool = False) -> None:
    """Refuse to remove all documents there are, and all others where only one file was given.

    Raises:
        RemovesEverything: naming how many.
    """
    if not gone or not (one_file or len(gone) == len(known)):
        return
    which = "all" if len(gone) == len(known) else "all other"
    what = (
        f"{which} {len(gone):,} documents" if len(gone) > 1 else f"the {'only' if which == 'all' else 'other'} document"
    )
    raise RemovesEverything(
        f"the sync would remove {what}, which {where} has not",
        details=[*sorted(gone)[:_NAMED], *(["…"] if len(gone) > _NAMED else [])],
        hint="is it the right folder, and is its disk there? if they are to go, say so with remove_all=True "
        "(--remove-all); prune=False (--keep) keeps them",
    )


def describe_failure(error: BaseException) -> str:
    """Return why a document could not be read, in one line with what to do."""
    if isinstance(error, DizuoError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {error}"
