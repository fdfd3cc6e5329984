"""DOCX: paragraphs, lists and tables in document order, under the headings by style."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

from dizuo.errors import DataError, MissingPackage
from dizuo.events import Warned, Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader

__all__ = ["READER"]

_OLE = b"\xd0\xcf\x11\xe0"
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)
_LEFT_OUT = {"/word/footnotes.xml": "footnotes", "/word/endnotes.xml": "endnotes", "/word/comments.xml": "comments"}


def read(path: Path, watch: Watcher) -> Draft:
    """Return the body's text; footnotes, comments and text boxes are left out, and named to the watcher.

    Raises:
        DataError: the file is no Word document, is encrypted, or is of the old format.
    """
    try:
        import docx
        from docx.opc.exceptions import PackageNotFoundError
        from docx.table import Table
    except ImportError as error:
        raise MissingPackage("python-docx", purpose="reading DOCX", install="dizuo[documents]") from error
    with path.open("rb") as file:
        if file.read(4) == _OLE:
            raise DataError(
                f"{path.name} is encrypted, or a Word document of before 2007",
                hint="save it as .docx without a password",
            )
    try:
        document: Any = docx.Document(str(path))
    except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
        raise DataError(f"{path.name} is no Word document: {error}", hint="is the file whole?") from error
    draft = Draft()
    for item in document.iter_inner_content():
        if isinstance(item, Table):
            draft.add("\n".join(_rows(item)))
            continue
        style = str(item.style.name) if item.style is not None else ""
        heading = _HEADING.fullmatch(style)
        if heading or style == "Title":
            draft.heading(int(heading[1]) if heading else 0, item.text)
        draft.add(item.text, is_heading=bool(heading) or style == "Title")
    named = document.core_properties.title
    if named:
        draft.title = named
    left_out = [
        what
        for part in document.part.package.iter_parts()
        if (what := _LEFT_OUT.get(str(part.partname))) and _says(part)
    ]
    if document.element.body.xpath(".//w:txbxContent"):
        left_out.append("text boxes")
    if left_out:
        watch(Warned(f"{path.name}: its {' and '.join(sorted(set(left_out)))} were not read"))
    return draft


def _rows(table: Any) -> list[str]:
    """Return one line per row, cells apart by tabs; a merged cell is given once."""
    lines = []
    for row in table.rows:
        cells = list({id(cell._tc): " ".join(cell.text.split()) for cell in row.cells}.values())
        lines.append("\t".join(cells))
    return lines


def _says(part: Any) -> bool:
    return bool(re.search(rb"<w:t[ >]", part.blob))


READER = DocumentReader(suffixes=(".docx",), read=read)
