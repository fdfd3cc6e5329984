"""From files to chunks: text, Markdown, HTML, PDF and DOCX, with positions that a citation can name.

document = read_document("handbook.pdf")
for chunk in chunk_document(document, size=256, overlap=32, count=embedder.count_tokens):
    chunk.text, chunk.start, chunk.end, chunk.page, chunk.headings
"""

from __future__ import annotations

from dizuo.vectors.knowledge.documents.chunking import Chunk, chunk_document, sentences
from dizuo.vectors.knowledge.documents.document import Block, Document
from dizuo.vectors.knowledge.documents.reading import files_below, read_document, suffixes

__all__ = ["Block", "Chunk", "Document", "chunk_document", "files_below", "read_document", "sentences", "suffixes"]
