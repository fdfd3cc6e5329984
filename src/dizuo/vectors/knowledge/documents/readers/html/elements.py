"""What the elements of HTML are to a reader: blocks, void, silent. Sources: HTML standard 4, 13.1.2 and 15.3."""

from __future__ import annotations

__all__ = ["BLOCKS", "LAYOUT", "LEFT_OUT", "PREFORMATTED", "SHOWN_VALUES", "SILENT", "VOID"]

BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "dir", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header",
    "hgroup", "hr", "html", "legend", "li", "listing", "main", "menu", "nav", "ol", "optgroup", "option", "p",
    "plaintext", "pre", "search", "section", "summary", "svg", "table", "tbody", "text", "textarea", "tfoot", "thead",
    "tr", "ul", "xmp",
}  # fmt: skip
"""Elements that begin and end a block. All others, unknown and custom ones among them, run on in the line (15.3.3)."""

PREFORMATTED = {"pre", "listing", "xmp", "plaintext", "textarea"}
"""Blocks whose white space is shown."""

SILENT = {
    "script", "style", "head", "link", "meta", "param", "source", "track", "col", "colgroup", "frameset",
}  # fmt: skip
"""Elements without text for people."""

LEFT_OUT = {
    "noscript": "texts for browsers without scripts",
    "noframes": "texts for browsers without frames",
    "noembed": "texts for browsers without plug-ins",
    "datalist": "suggestions of fields",
}
"""Elements whose text no browser shows, or only some; they are counted where they have any."""

LAYOUT = "h1,h2,h3,h4,h5,h6,hr,pre,form,article,section,main,nav,header,footer"
"""A table with one of these in it is a layout, as old pages and mails have them; its cells are no row of values."""

SHOWN_VALUES = {
    "", "text", "search", "email", "url", "tel", "number", "date", "month", "week", "time", "datetime-local", "button",
    "submit", "reset",
}  # fmt: skip
"""Types of `<input>` whose value is shown as text."""

VOID = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr",
}  # fmt: skip
"""Elements without an end tag."""
