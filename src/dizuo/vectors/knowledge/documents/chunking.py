"""`chunk_document` cuts a document into chunks: pieces no longer than the size that an embedder reads.

A heading begins a new chunk. Within a section, whole sentences are packed up to the size; a sentence that is too long
alone is cut between words, and a word between characters. Neighbouring chunks of a section overlap by whole sentences.
Nothing is lost: every character that is not white space lies in a chunk, and a chunk's text is the document's text
between its two positions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dizuo.errors import DataError
from dizuo.vectors.knowledge.documents.document import Block, Document

__all__ = ["Chunk", "chunk_document", "sentences"]

Count = Callable[[Sequence[str]], Sequence[int]]

# A full stop of CJK ends a sentence by itself; one of Latin, Arabic or Devanagari needs white space after it, and no
# lower-case letter (so that "e.g. this" holds together); a line ends one where the next line is not its continuation.
_CLOSING = "[\"'”’»)\\]」』）】》]*"
_SENTENCE_END = re.compile(
    rf"[。！？；｡…]+{_CLOSING}\s*|[.!?؟।۔]+{_CLOSING}\s+(?![a-zà-öø-ÿа-я])|\n\s*\n\s*|\n(?=\s*(?:[-*+•|]|\d+[.)]\s))"
)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document."""

    text: str
    start: int
    """First character in the document's text."""
    end: int
    headings: tuple[str, ...] = ()
    page: int | None = None
    """Of its first character."""


def sentences(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of the sentences in a stretch of text, the white space after each included.

    >>> [text[a:b] for text in ["今天好。明天？ Yes. No"] for a, b in sentences(text)]
    ['今天好。', '明天？ ', 'Yes. ', 'No']
    """
    end = len(text) if end is None else end
    at = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if match.end() > at:
            yield at, match.end()
            at = match.end()
    if at < end:
        yield at, end


def chunk_document(document: Document, *, size: int, overlap: int = 0, count: Count | None = None) -> list[Chunk]:
    """Return the chunks of a document, in order.

    Args:
        document: from `read_document` or `Document.of`.
        size: what a chunk may hold at most, in characters, or in whatever `count` counts.
        overlap: how much of a chunk's end the next one of its section repeats at most; less than `size`.
        count: texts → sizes, such as an embedder's `count_tokens`; what it says of an empty text (its special tokens)
            counts once per chunk.

    Raises:
        DataError: the sizes make no sense.
    """
    fixed = count([""])[0] if count else 0
    if size <= fixed or not 0 <= overlap < size:
        raise DataError(
            f"chunks of size {size} with overlap {overlap} cannot be made"
            + (f": {fixed} of them go to special tokens" if fixed else ""),
            hint="size must be larger than overlap, and overlap not negative",
        )
    room = size - fixed
    measure = _make_measure(count, fixed)
    chunks: list[Chunk] = []
    for section in _split_document(document):
        atoms = _split_section(document.text, section, room, measure)
        chunks.extend(_pack(document.text, section, atoms, room, min(overlap, room - 1), measure))
    return chunks


def _make_measure(count: Count | None, fixed: int) -> Count:
    if count is None:
        return lambda texts: [len(text) for text in texts]
    return lambda texts: [max(0, size - fixed) for size in count(texts)] if texts else []


def _split_document(document: Document) -> Iterator[list[Block]]:
    """Yield runs of blocks under the same headings; a heading without text of its own joins what follows it."""
    run: list[Block] = []
    for block in document.blocks:
        if run and block.headings != run[-1].headings and not all(item.is_heading for item in run):
            yield run
            run = []
        run.append(block)
    if run:
        yield run


def _split_section(text: str, section: Sequence[Block], room: int, measure: Count) -> list[tuple[int, int, int]]:
    """Return (start, end, size) of sentences, and of parts of those that are too long, covering the section."""
    spans = [span for block in section for span in sentences(text, block.start, block.end)]
    spans = [(start, end) for start, end in spans if not text[start:end].isspace()]
    atoms: list[tuple[int, int, int]] = []
    for (start, end), size in zip(spans, measure([text[start:end] for start, end in spans]), strict=True):
        if size <= room:
            atoms.append((start, end, size))
        else:
            atoms += [
                part for part in _cut_sentence(text, start, end, room, measure) if not text[part[0] : part[1]].isspace()
            ]
    return atoms


def _cut_sentence(text: str, start: int, end: int, room: int, measure: Count) -> Iterator[tuple[int, int, int]]:
    """Yield parts of a long sentence, as long as they may be; cut after a space, if one is in the second half."""
    while start < end:
        low, high = 1, end - start  # the longest part that fits; one character always does, whatever it measures
        while low < high:
            middle = (low + high + 1) // 2
            if measure([text[start : start + middle]])[0] <= room:
                low = middle
            else:
                high = middle - 1
        stop = start + low
        if stop < end:
            space = max(text.rfind(white, start + low // 2, stop) for white in " \n\t，、,")
            stop = space + 1 if space > start else stop
        yield start, stop, measure([text[start:stop]])[0]
        start = stop


def _pack(
    text: str, section: Sequence[Block], atoms: Sequence[tuple[int, int, int]], room: int, overlap: int, measure: Count
) -> Iterator[Chunk]:
    """Yield chunks of as many atoms as fit, each beginning with the last atoms of the one before."""
    first = 0
    while first < len(atoms):
        last, size = first, 0
        while last < len(atoms) and (last == first or size + atoms[last][2] <= room):
            size += atoms[last][2]
            last += 1
        # Sizes of parts need not add up to the size of the whole, so the whole is measured.
        while last - first > 1 and measure([text[atoms[first][0] : atoms[last - 1][1]]])[0] > room:
            last -= 1
        yield _make_chunk(text, section, atoms[first][0], atoms[last - 1][1])
        if last == len(atoms):
            return
        back = last
        while back > first + 1 and measure([text[atoms[back - 1][0] : atoms[last - 1][1]].rstrip()])[0] <= overlap:
            back -= 1
        # The next chunk must hold something new beside what it repeats.
        while back < last and sum(size for _, _, size in atoms[back : last + 1]) > room:
            back += 1
        while back < last and measure([text[atoms[back][0] : atoms[last][1]]])[0] > room:
            back += 1
        first = back


def _make_chunk(text: str, section: Sequence[Block], start: int, end: int) -> Chunk:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end -= len(piece) - len(piece.rstrip())
    inside = [block for block in section if block.start < end and block.end > start]
    deepest = max(inside, key=lambda block: len(block.headings))
    return Chunk(text[start:end], start, end, deepest.headings, inside[0].page)
