"""A folder with one sub-folder per class: a text file in it is a row, and the sub-folder's name is its label."""

from __future__ import annotations

from collections.abc import Iterator

from dizuo.data.readers import Reader
from dizuo.data.reading.files import Fault, Row, SourceFile
from dizuo.errors import DataError

TEXT_SUFFIXES = (".txt", ".text", ".md", "")


def looks(head: bytes) -> bool:
    """Return False: a folder is recognised as a folder, never by content."""
    return False


def read(source: SourceFile) -> Iterator[Row | Fault]:
    """Yield `{"text": …, "label": …}` rows, sub-folders and files in the order of their names."""
    folders = sorted(p for p in source.path.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))
    encodings: dict[str, int] = {}
    skipped = 0
    for folder in folders:
        files = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        for path in files:
            if path.is_dir() or path.suffix.lower() not in TEXT_SUFFIXES:
                skipped += 1
                continue
            name = f"{source.name.rstrip('/')}/{folder.name}/{path.name}"
            inner = SourceFile(path, name, encoding_asked=source.encoding_asked)
            try:
                with inner.text() as file:
                    text = file.read()
            except DataError as error:
                yield Fault(1, error.message.removeprefix(f"{name} "), file=name)
                continue
            encodings[inner.encoding.name] = encodings.get(inner.encoding.name, 0) + 1
            yield Row(1, {"text": text, "label": folder.name}, file=name)
    source.notes["encodings"] = dict(sorted(encodings.items()))
    if skipped:
        source.notes["other files, not read"] = skipped


READER = Reader(suffixes=(), looks=looks, read=read)
