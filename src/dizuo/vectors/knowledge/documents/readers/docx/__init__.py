"""DOCX: all text of the document, in the order in which it stands, under the headings by outline level.

The text is taken from the XML (ISO/IEC 29500-1, 17) and not from a list of elements that are known:

    package.py      the zip file, and which part refers to which
    body.py         paragraphs and tables become blocks of the draft
    lines.py        what stands in a paragraph becomes text, in whatever it is wrapped
    equations.py    an equation becomes one line
    drawings.py     descriptions of pictures, texts of charts and diagrams
    symbols.py      characters of symbol fonts
    styles.py       which paragraphs are headings, which text is hidden
    numbering.py    the automatic numbers of paragraphs
    names.py        names of elements

Text boxes, notes and texts of pictures follow the paragraph that they are anchored in. Headers and footers stand at
the end, each text once, under no heading. Tracked changes are read as if accepted. Comments, deletions, hidden text,
pictures without a description and embedded objects are left out, and counted.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element

from dizuo.errors import DataError
from dizuo.events import Watcher
from dizuo.vectors.knowledge.documents.document import Draft
from dizuo.vectors.knowledge.documents.readers import DocumentReader
from dizuo.vectors.knowledge.documents.readers.docx.body import Body
from dizuo.vectors.knowledge.documents.readers.docx.lines import Lines
from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, children, has_text, tag
from dizuo.vectors.knowledge.documents.readers.docx.numbering import Numbering
from dizuo.vectors.knowledge.documents.readers.docx.package import Package
from dizuo.vectors.knowledge.documents.readers.docx.styles import Styles

__all__ = ["READER"]


def read(path: Path, watch: Watcher) -> Draft:
    """Return the document's text.

    Raises:
        DataError: the file is no Word document, is damaged or encrypted, or is of the old format.
    """
    with Package(path) as package:
        main = package.find("", "officeDocument")
        root = package.read(main) if main else None
        if main is None or root is None or tag(root) != "w:document":
            raise DataError(f"{path.name} is no Word document", hint="is the suffix right? open the file once by hand")
        return _Document(package, main).read(root)


class _Document:
    """A document while it is read, with the parts beside the main one."""

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._draft = Draft()
        styles = package.find(main, "styles")
        self._styles = Styles(package.read(styles) if styles else None)
        numbering = package.find(main, "numbering")
        self._numbering = Numbering(package.read(numbering) if numbering else None, self._styles)
        self._notes: dict[tuple[str, str], Element] = {}
        self._known: set[tuple[str, str]] = set()
        self._moved: list[str] = []
        for kind in ("footnotes", "endnotes"):
            for note in self._read_children(kind):
                key = (kind, attribute(note, "id") or "")
                self._known.add(key)
                if attribute(note, "type") in (None, "normal") and has_text(note):
                    self._notes[key] = note

    def read(self, root: Element) -> Draft:
        """Read the body, with its notes, and then the headers and footers."""
        body = self._read_part(self._main, root, is_main=True)
        self._draft.leave_out("notes that nothing refers to", len(self._notes))
        self._read_headers(body)
        self._draft.leave_out("comments", sum(has_text(comment) for comment in self._read_children("comments")))
        text = "".join(self._draft.finish("").text.split())
        lost = sum("".join(moved.split()) not in text for moved in self._moved)
        self._draft.leave_out("texts that were moved away", lost, hint="accept or reject the changes in Word")
        properties = self._package.find("", "core-properties")
        core = self._package.read(properties) if properties else None
        title = next((node.text for node in core if node.tag.endswith("}title")), None) if core is not None else None
        if title and title.strip():
            self._draft.title = " ".join(title.split())
        return self._draft

    def _read_part(self, part: str, root: Element, *, is_main: bool = False) -> Body:
        lines = Lines(self._package, self._package.relations(part), self._styles, self._draft)
        body = Body(lines, self._styles, self._numbering, self._draft, self._read_note, is_main=is_main)
        body.read(root)
        self._moved += lines.moved
        return body

    def _read_note(self, kind: str, id: str) -> None:
        """Read a note, the first time that the text refers to it."""
        note = self._notes.pop((kind, id), None)
        part = self._package.find(self._main, kind)
        if note is not None and part is not None:
            self._read_part(part, note)
        elif (kind, id) not in self._known:
            self._draft.leave_out("notes that are missing")

    def _read_headers(self, body: Body) -> None:
        relations = self._package.relations(self._main)
        ids = dict.fromkeys(id for _, id in sorted(body.references, key=lambda one: one[0], reverse=True))
        seen: set[str] = set()
        for id in ids:
            target = relations[id].target if id in relations else ""
            root = self._package.read(target)
            if root is None:
                self._draft.leave_out("headers and footers that are missing")
                continue
            word_art = [attribute(node, "string") or "" for node in root.iter() if tag(node) == "v:textpath"]
            text = "".join("".join([*root.itertext(), *word_art]).split())
            if text in seen:  # those of first and even pages mostly say the same
                continue
            seen.add(text)
            self._draft.heading(0, "")  # closes all headings
            self._read_part(target, root)

    def _read_children(self, kind: str) -> list[Element]:
        """Return the notes or comments of the part of that kind."""
        part = self._package.find(self._main, kind)
        root = self._package.read(part) if part else None
        return list(children(root, f"w:{kind.removesuffix('s')}"))


READER = DocumentReader(suffixes=(".docx", ".docm"), read=read)
