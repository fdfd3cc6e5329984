"""What drawings of a Word document say: descriptions of pictures, and the texts of charts and diagrams."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from dizuo.vectors.knowledge.documents.readers.docx.names import attribute, descendants, has_text, tag

__all__ = ["describe_pictures", "read_part"]

_CACHES = ("c:strCache", "c:numCache", "c:strLit", "c:numLit")


def describe_pictures(drawing: Element) -> tuple[list[str], int]:
    """Return the descriptions (alternative texts) in a drawing, and the number of pictures that have none.

    A picture that is marked as decorative needs none. A drawing of text, and the picture of an embedded object, which
    is counted as that, are no pictures.
    """
    texts: list[str] = []
    decorative = embedded = False
    num_pictures = 0
    for node in drawing.iter():
        local = tag(node).rpartition(":")[2]
        if local in ("docPr", "cNvPr"):
            texts += [attribute(node, "title") or "", attribute(node, "descr") or ""]
        elif local in ("shape", "rect", "oval", "roundrect", "group"):
            texts.append(attribute(node, "alt") or "")
        elif local == "decorative":
            decorative = decorative or attribute(node, "val") in ("1", "true")
        elif local in ("blip", "imagedata"):
            num_pictures += 1
        elif local in ("OLEObject", "control"):
            embedded = True
    texts = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    silent = 0 if decorative or embedded or texts or has_text(drawing) else num_pictures
    return texts, silent


def read_part(root: Element) -> str:
    """Return the text of a chart or diagram: its paragraphs, then one line for each list of labels or numbers."""
    lines = ["".join(text.text or "" for text in descendants(node, "a:t")) for node in descendants(root, "a:p")]
    for cache in descendants(root, *_CACHES):
        lines.append("\t".join((value.text or "").strip() for value in descendants(cache, "c:v")))
    return "\n".join(dict.fromkeys(line for line in lines if line.strip()))
