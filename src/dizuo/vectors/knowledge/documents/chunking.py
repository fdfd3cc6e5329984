"""`chunk_document` cuts a document into chunks: pieces no longer than the size that an embedder reads.

A heading begins a new chunk. Within a section, whole sentences are packed up to the size; a sentence that is too long
alone is cut between words, and a word between characters. Neighbouring chunks of a section overlap by whole sentences.
Nothing is lost: every character that is not white space lies in a chunk, and a chunk's text is the document's text
between its two positions.

Cutting takes time in proportion to the text, whatever stands in it (`benchmarks/chunking.py`): no step looks at more of
the text than a chunk may hold, and no step goes over all blocks for each chunk.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dizuo.errors import DataError
from dizuo.vectors.knowledge.documents.document import Block, Document

__all__ = ["Chunk", "chunk_document", "sentences"]

Count = Callable[[Sequence[str]], Sequence[int]]

# A full stop of CJK ends a sentence by itself; one of Latin, Arabic or Devanagari needs white space after it, and no
# lower-case letter (so that "e.g. this" holds together); a line ends one where the next line is not its continuation.
# A run of stops is looked at from its first one only, and never given back in part: a million dots without a space
# behind them would otherwise be gone over a million times.
_CLOSING = "[\"'”’»)\\]」』）】》]*+"
_STOP = "[.!?؟।۔]"
_SENTENCE_END = re.compile(
    rf"[。！？；｡…]++{_CLOSING}\s*|(?<!{_STOP}){_STOP}++{_CLOSING}\s+(?![a-zà-öø-ÿа-я])"
    r"|\n\s*\n\s*|\n(?=\s*(?:[-*+•|]|\d++[.)]\s))"
)
_WIDEST = 32
"""Characters that a chunk has at most for each unit of its size. Prose has about four to a token; a tokenizer that
counts a line of hexadecimal digits as one unknown word would otherwise make chunks of megabytes."""


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


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a chunk may hold, special tokens left out."""

    room: int
    overlap: int
    width: int
    """In characters."""


Atom = tuple[int, int, int]
"""Start, end and size of what is packed: a sentence, or a part of one that is too long."""


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
    for name, given in (("size", size), ("overlap", overlap)):
        if type(given) is not int:
            raise DataError(f"{name} is {given!r}, and it is a whole number")
    fixed = count([""])[0] if count else 0
    if size <= fixed or not 0 <= overlap < size:
        raise DataError(
            f"chunks of size {size} with overlap {overlap} cannot be made"
            + (f": {fixed} of them go to special tokens" if fixed else ""),
            hint="size must be larger than overlap, and overlap not negative",
        )
    limits = _Limits(size - fixed, min(overlap, size - fixed - 1), (size - fixed) * _WIDEST)
    measure = _make_measure(count, fixed)
    chunks: list[Chunk] = []
    for section in _split_document(document):
        atoms = _split_section(document.text, section, limits, measure)
        chunks.extend(_pack(document.text, section, atoms, limits, measure))
    return chunks


def _make_measure(count: Count | None, fixed: int) -> Count:
    if count is None:
        return lambda texts: [len(text) for text in texts]
    return lambda texts: [max(0, size - fixed) for size in count(texts)] if texts else []


def _split_document(document: Document) -> Iterator[list[Block]]:
    """Yield runs of blocks under the same headings; a heading without text of its own joins what follows it."""
    run: list[Block] = []
    has_text = False
    for block in document.blocks:
        if has_text and block.headings != run[-1].headings:
            yield run
            run, has_text = [], False
        run.append(block)
        has_text = has_text or not block.is_heading
    if run:
        yield run


def _split_section(text: str, section: Sequence[Block], limits: _Limits, measure: Count) -> list[Atom]:
    """Return sentences, and parts of those that are too long, covering the section."""
    spans = [span for block in section for span in sentences(text, block.start, block.end)]
    spans = [(start, end) for start, end in spans if not text[start:end].isspace()]
    short = [(start, end) for start, end in spans if end - start <= limits.width]
    sizes = dict(zip(short, measure([text[start:end] for start, end in short]), strict=True))
    atoms: list[Atom] = []
    for start, end in spans:
        size = sizes.get((start, end))
        if size is not None and size <= limits.room:
            atoms.append((start, end, size))
        else:
            parts = _cut_sentence(text, start, end, limits, measure)
            atoms += [part for part in parts if not text[part[0] : part[1]].isspace()]
    return atoms


def _cut_sentence(text: str, start: int, end: int, limits: _Limits, measure: Count) -> Iterator[Atom]:
    """Yield parts of a long sentence, as long as they may be; cut after a space, if one is in the second half."""
    width = limits.room
    while start < end:
        width = _find_width(text, start, end, width, limits, measure)
        stop = start + width
        if stop < end:
            space = _find_space(text, start + width // 2, stop)
            stop = space + 1 if space > start else stop
        yield start, stop, measure([text[start:stop]])[0]
        start = stop


def _find_width(text: str, start: int, end: int, guess: int, limits: _Limits, measure: Count) -> int:
    """Return how many characters from `start` fit; one always does, whatever it measures.

    The first look is at `guess` characters. Each later one is where the size would be reached if it grew evenly, and
    every third halves what is left, since texts do not grow evenly. The search ends early when the space to cut at is
    known.
    """
    most = min(end - start, limits.width)
    low, high = 1, most + 1  # `low` characters fit, and `high` do not
    probe, looks = min(max(2, guess), most), 0
    while high - low > 1:
        size = measure([text[start : start + probe]])[0]
        low, high = (probe, high) if size <= limits.room else (low, probe)
        if high <= end - start and start < _find_space(text, start + high // 2, start + high - 1) < start + low:
            break
        looks += 1
        even = probe * limits.room // max(1, size) if looks % 3 else (low + high) // 2
        probe = min(max(even, low + 1), high - 1)
    return low


def _find_space(text: str, start: int, stop: int) -> int:
    """Return the last place in a stretch where a sentence may be cut, else -1."""
    return max(text.rfind(white, start, stop) for white in " \n\t，、,")


def _pack(
    text: str, section: Sequence[Block], atoms: Sequence[Atom], limits: _Limits, measure: Count
) -> Iterator[Chunk]:
    """Yield chunks of as many atoms as fit, each beginning with the last atoms of the one before."""
    starts, ends = [block.start for block in section], [block.end for block in section]

    def fits(first: int, last: int) -> bool:
        """Say whether these atoms fit as a whole: sizes of parts need not add up to the size of it."""
        start, end = atoms[first][0], atoms[last][1]
        return end - start <= limits.width and measure([text[start:end]])[0] <= limits.room

    first = 0
    while first < len(atoms):
        last, size = first, 0
        while last < len(atoms) and (last == first or _joins(atoms, first, last, size, limits)):
            size += atoms[last][2]
            last += 1
        last = _find_last(first, last, fits)
        start, end = _strip(text, atoms[first][0], atoms[last - 1][1])
        inside = section[bisect_right(ends, start) : bisect_left(starts, end)]
        deepest = max(inside, key=lambda block: len(block.headings))
        yield Chunk(text[start:end], start, end, deepest.headings, inside[0].page)
        if last == len(atoms):
            return
        back = last - _count_repeated(text, atoms[first + 1 : last], limits, measure)
        # The next chunk must hold something new beside what it repeats.
        repeated = sum(size for _, _, size in atoms[back : last + 1])
        while back < last and repeated > limits.room:
            repeated -= atoms[back][2]
            back += 1
        first = _find_first(back, last, fits)


def _joins(atoms: Sequence[Atom], first: int, last: int, size: int, limits: _Limits) -> bool:
    """Say whether an atom may join a chunk that holds `size` already."""
    return size + atoms[last][2] <= limits.room and atoms[last][1] - atoms[first][0] <= limits.width


def _find_last(first: int, last: int, fits: Callable[[int, int], bool]) -> int:
    """Return the end, at most `last`, of the longest run of atoms from `first` that fits; one atom always does."""
    if last - first == 1 or fits(first, last - 1):
        return last
    return first + 1 + _count_false(last - first - 2, lambda more: not fits(first, first + 1 + more))


def _find_first(first: int, last: int, fits: Callable[[int, int], bool]) -> int:
    """Return the beginning, at least `first`, of the longest run of atoms that ends with atom `last` and fits."""
    if first == last or fits(first, last):
        return first
    return first + 1 + _count_false(last - first - 1, lambda less: fits(first + 1 + less, last))


def _count_repeated(text: str, atoms: Sequence[Atom], limits: _Limits, measure: Count) -> int:
    """Return how many of the last atoms are no more than the overlap together, and not most of a chunk's width."""

    def is_more(number: int) -> bool:
        piece = text[atoms[-number][0] : atoms[-1][1]].rstrip()
        return len(piece) > limits.width // 2 or measure([piece])[0] > limits.overlap

    beyond = 1
    while beyond <= len(atoms) and not is_more(beyond):
        beyond *= 2  # few atoms are repeated, so few are looked at first
    low = beyond // 2
    return low + _count_false(min(beyond - 1, len(atoms)) - low, lambda more: is_more(low + 1 + more))


def _count_false(most: int, test: Callable[[int], bool]) -> int:
    """Return the first number of 0, 1, …, most - 1 that passes the test, else `most`; above it all do."""
    return bisect_left(range(most), True, key=test)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a stretch without the white space around it."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())
