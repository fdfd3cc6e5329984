"""Decoding: the bytes of a text or HTML file go in, its text comes out, with what must be said of it.

texts.py          what is believed, in order: a byte-order mark, UTF-8, the user, a page's label, a guess
html_labels.py    what an HTML file says its encoding is
labels.py         which codec a label or a user's name means, as browsers have it
guessing.py       which encoding bytes are in that say nothing, by what they would read as
letters.py        the letters of languages, which a guess is measured by
web_codecs.py     decoding as browsers do it; bytes that are no text are counted
"""

from __future__ import annotations

from dizuo.vectors.knowledge.documents.decoding.labels import check_encoding
from dizuo.vectors.knowledge.documents.decoding.texts import Decoded, decode_html, decode_text, is_plainly_unicode

__all__ = ["Decoded", "check_encoding", "decode_html", "decode_text", "is_plainly_unicode"]
