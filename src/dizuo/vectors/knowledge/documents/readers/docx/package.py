"""The zip file that a Word document is: its XML parts, and which part refers to which (ECMA-376, part 2).

Only the parts that have text in them are unpacked.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from dizuo.errors import DataError

__all__ = ["Package", "Relation"]

_OLE = b"\xd0\xcf\x11\xe0"
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    KeyError,
    ElementTree.ParseError,
)
"""What `zipfile` and `ElementTree` raise at files that are cut, damaged, or packed in a way that they do not know."""


@dataclass(frozen=True, slots=True)
class Relation:
    """What an id in one part stands for."""

    kind: str
    """The last word of its type, such as `footnotes`, which is the same in strict and in transitional files."""
    target: str
    """The name of the other part, or an address outside the file."""


class Package:
    """An open file; a context manager.

    Raises:
        DataError: it is encrypted, of the format before 2007, or no zip file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            if file.read(4) == _OLE:
                raise DataError(
                    f"{path.name} is encrypted, or a Word document of before 2007",
                    hint="save it as .docx without a password",
                )
        try:
            self._zip = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise self._refuse(error) from error
        # Names of parts are compared without regard to case, and some programs write them with backslashes.
        self._relations: dict[str, dict[str, Relation]] = {}
        self._names = {name.replace("\\", "/").lower(): name for name in self._zip.namelist()}

    def __enter__(self) -> Package:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._zip.close()

    def read(self, part: str) -> Element | None:
        """Return the root of an XML part, or None where the file has no such part.

        Raises:
            DataError: the part is damaged.
        """
        name = self._names.get(part.lower())
        if name is None:
            return None
        try:
            return ElementTree.fromstring(self._zip.read(name))
        except _DAMAGE as error:
            raise self._refuse(error, f" in {part}") from error

    def relations(self, part: str) -> dict[str, Relation]:
        """Return what the ids in a part stand for; the part `""` is the package itself."""
        if part in self._relations:
            return self._relations[part]
        folder, base = posixpath.split(part)
        root = self.read(posixpath.join(folder, "_rels", f"{base}.rels"))
        found = self._relations[part] = {}
        for node in root if root is not None else ():
            target = node.get("Target", "")
            if node.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[node.get("Id", "")] = Relation(node.get("Type", "").rpartition("/")[2], target)
        return found

    def find(self, part: str, kind: str) -> str | None:
        """Return the part that a part refers to as its `kind`, or None."""
        return next((item.target for item in self.relations(part).values() if item.kind == kind), None)

    def _refuse(self, error: Exception, place: str = "") -> DataError:
        return DataError(
            f"{self.path.name} is no Word document that can be read: {error}{place}", hint="is the file whole?"
        )
