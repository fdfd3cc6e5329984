"""Decompresses and decodes a source file, and cuts it into lines at "\\n" and nowhere else.

Files of old Macintoshes, which have "\\r" and no "\\n" at all, are cut there.

`str.splitlines()` also cuts at U+0085 and U+2028, which stand inside real texts; every line number that a user sees
here is the number that their editor shows.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

from dizuo.data.reading.encodings import Encoding, check_encoding, detect
from dizuo.errors import DataError, MissingPackage
from dizuo.records import Json

__all__ = ["COMPRESSIONS", "Cells", "Fault", "Row", "SourceFile", "bare_name", "refuse_repeated"]

COMPRESSIONS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zip": "zip", ".zst": "zstandard"}

Cells: TypeAlias = Mapping[str, Json]
"""A row's values by column. A table may also hold dates, decimals and bytes, which no record format takes."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as its reader found it."""

    line: int | None
    """1-based line where the row starts; the row's number in formats without lines; None where `path` says it all."""
    value: Cells
    file: str = ""
    """The row's own file where the source is a folder of files."""
    path: str = ""
    """Place in a JSON document that is read whole, such as `data[3]`."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row that could not be read."""

    line: int | None
    reason: str
    raw: str = ""
    """The row as it stands in the file, as far as it can be shown."""
    file: str = ""
    path: str = ""
    """Place inside the document or line, as in `Row`."""


@dataclass(slots=True)
class SourceFile:
    """One file, or one folder of class folders, to read rows from."""

    path: Path
    name: str
    """How messages call it: as the user wrote it."""
    encoding_asked: str = "auto"
    header: str = "auto"
    delimiter: str = ""
    notes: dict[str, Json] = field(default_factory=dict)
    """What a reader found and states in the card, such as the delimiter."""
    remarks: list[str] = field(default_factory=list)
    """What a person should know of how the file is read, such as that its name says something else than its content."""
    class_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By column, the names of classes that it holds as numbers from 0; rows are given the names."""
    class_list: tuple[str, ...] = ()
    """Names of classes from a file beside this one, whose column is still to be found."""
    _encoding: Encoding | None = None
    _old_endings: bool | None = None

    @property
    def compression(self) -> str:
        """The name of the compression, or an empty string."""
        return COMPRESSIONS.get(self.path.suffix.lower(), "") if self.path.is_file() else ""

    @property
    def suffix(self) -> str:
        """The suffix that tells the container format, without that of the compression: `".csv"`."""
        return Path(bare_name(self.path.name)).suffix.lower()

    @property
    def encoding(self) -> Encoding:
        """The file's encoding, as asked or as found."""
        if self._encoding is None:
            if self.encoding_asked != "auto":
                self._encoding = Encoding(check_encoding(self.encoding_asked), "asked for")
            else:
                with self.binary() as file:
                    self._encoding = detect(file, name=self.name)
        return self._encoding

    @contextmanager
    def binary(self) -> Iterator[BinaryIO]:
        """Open the decompressed bytes.

        Raises:
            DataError: the file is missing, damaged, or holds several files.
        """
        try:
            with _open(self.path, self.compression, self.name) as file:
                yield file
        except FileNotFoundError:
            raise DataError(f"{self.name} does not exist", hint="check the path") from None
        except PermissionError:
            raise DataError(f"{self.name} may not be read by this user", hint="change its permissions") from None
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.name} is damaged: {self.compression} says {error}", hint="fetch or compress the file again"
            ) from error
        except OSError as error:
            raise DataError(f"{self.name} cannot be read: {error}", hint="check the file") from error

    @contextmanager
    def text(self) -> Iterator[io.TextIOWrapper]:
        """Open the decoded text.

        Bytes that are not UTF-8 become lone surrogates; `staging` reports each row that holds one.
        """
        errors = "surrogateescape" if self.encoding.name in ("utf-8", "utf-8-sig") else "replace"
        ending = "\r" if self._has_old_endings() else "\n"
        with self.binary() as file:
            yield io.TextIOWrapper(file, encoding=self.encoding.name, errors=errors, newline=ending)

    def _has_old_endings(self) -> bool:
        """Return whether the file's lines end as on old Macintoshes: with carriage returns, and no line feed at all."""
        if self._old_endings is None:
            with self.binary() as file:
                head = file.read(1 << 16)
            self._old_endings = b"\r" in head and b"\n" not in head
            if self._old_endings:
                self.notes["lines end in"] = "carriage returns"
        return self._old_endings

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield (line number from 1, line with its ending)."""
        with self.text() as file:
            yield from enumerate(file, start=1)


def refuse_repeated(names: Sequence[str], *, place: str) -> None:
    """Refuse columns of one name: of two values of a row, one would be lost.

    Args:
        names: of the columns.
        place: how the error calls what names them, such as `a.csv:1: the header`.

    Raises:
        DataError: naming them.
    """
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{place} has several columns called {', '.join(map(repr, repeated))}",
            hint="give each column a name of its own",
        )


def bare_name(name: str) -> str:
    """Return a file's name without the suffix of its compression."""
    path = Path(name)
    return path.stem if path.suffix.lower() in COMPRESSIONS else name


@contextmanager
def _open(path: Path, compression: str, name: str) -> Iterator[BinaryIO]:
    if compression == "gzip":
        with gzip.open(path, "rb") as file:
            yield cast(BinaryIO, file)
    elif compression == "bzip2":
        with bz2.open(path, "rb") as file:
            yield cast(BinaryIO, file)
    elif compression == "xz":
        with lzma.open(path, "rb") as file:
            yield cast(BinaryIO, file)
    elif compression == "zip":
        with zipfile.ZipFile(path) as archive:
            members = [
                info.filename
                for info in archive.infolist()
                if not info.is_dir() and not info.filename.startswith("__MACOSX/")
            ]
            if len(members) != 1:
                raise DataError(
                    f"{name} holds {len(members)} files; a compressed source holds one",
                    details=members[:10],
                    hint="unpack it and name the file or the folder",
                )
            with archive.open(members[0]) as file:
                yield cast(BinaryIO, file)
    elif compression == "zstandard":
        try:
            import zstandard
        except ImportError:
            raise MissingPackage("zstandard", purpose=f"reading {name}", install="zstandard") from None
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as file:
            yield cast(BinaryIO, io.BufferedReader(file))
    else:
        with path.open("rb") as file:
            yield file
