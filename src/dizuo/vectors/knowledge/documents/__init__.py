"""Documents: files go in, chunks come out, with positions that a citation can name.

    document = read_document("handbook.pdf")
    for chunk in chunk_document(document, size=256, overlap=32, count=embedder.count_tokens):
        chunk.text, chunk.start, chunk.end, chunk.page, chunk.headings

On the way they pass through

    folder.py      what there is below a folder
    reading.py     a file becomes a document: the reader is chosen by its suffix
    readers/       one entry per format: text, Markdown, HTML, PDF, DOCX
    decoding/      bytes become text, in whatever encoding they are
    lines.py       where the lines and paragraphs of a text file begin
    tables.py      the cells of a table become one line per row
    document.py    `Document`: the text, what stands where in it, what was left out; `Draft`, which readers fill
    chunking.py    a document becomes chunks, none longer than the size that the embedder reads
"""

from __future__ import annotations

from dizuo.vectors.knowledge.documents.chunking import Chunk, chunk_document, sentences
from dizuo.vectors.knowledge.documents.document import Block, Document, LeftOut
from dizuo.vectors.knowledge.documents.reading import files_below, read_document, suffixes

__all__ = [
    "Block",
    "Chunk",
    "Document",
    "LeftOut",
    "chunk_document",
    "files_below",
    "read_document",
    "sentences",
    "suffixes",
]
