"""Finds the licence that came with a model or data set: its stated name, its texts, and what it asks of a user."""

from __future__ import annotations

import json
import re
from email.message import Message
from pathlib import Path
from typing import Any

__all__ = ["LICENCE_NAME", "licence_of_card", "licence_of_folder", "licence_of_metadata", "licence_of_pack", "terms_of"]

LICENCE_NAME = re.compile(r"(?i)(.*[_-])?(licen[cs]es?|copying|notice|terms|use_policy)([_.-].*)?")
"""File names that are licence texts, notices or terms of use."""
_TERMS = (
    (r"gemma.*", "Gemma Terms of Use (https://ai.google.dev/gemma/terms): no open-source licence; some uses are "
                 "prohibited, and whoever passes the model or a tuned one on passes the terms on"),
    (r"llama-?\d.*", "a Llama community licence (https://www.llama.com/llama-downloads/): no open-source licence; some "
                     "uses are prohibited, and a tuned model's name begins with Llama"),
    (r"cc-by-nc.*", "for non-commercial use only"),
    (r"other|custom|proprietary", "terms of its own; read them before you use it"),
)  # fmt: skip
_CODE = {".py", ".pyc", ".pyi", ".so", ".json", ".js"}


def licence_of_metadata(metadata: Message) -> str | None:
    """Return the licence that a wheel's METADATA states: the expression, else the short field, else the classifier."""
    if expression := metadata.get("License-Expression"):
        return str(expression).strip()
    stated = str(metadata.get("License") or "").strip()
    if stated and stated.lower() != "unknown" and "\n" not in stated and len(stated) <= 100:
        return stated
    for classifier in metadata.get_all("Classifier") or ():
        if classifier.startswith("License ::"):
            return str(classifier).rsplit("::", 1)[-1].strip()
    return None


def terms_of(licence: str | None) -> str | None:
    """Return what a person has to know of a stated licence beyond keeping a notice, or None.

    >>> terms_of("Apache-2.0") is None
    True
    """
    if not licence:
        return "no licence is stated: ask its authors before you use it"
    return next((text for pattern, text in _TERMS if re.fullmatch(pattern, licence.strip().lower())), None)


def is_licence(name: str) -> bool:
    """Return whether a path names a licence text; the folder `licenses/` of a wheel counts too."""
    path = Path(name)
    if path.suffix.lower() in _CODE:
        return False
    return path.parent.name.lower() == "licenses" or LICENCE_NAME.fullmatch(path.name) is not None


def licence_of_folder(folder: Path) -> tuple[str | None, tuple[Path, ...]]:
    """Return the licence that a model card states, and the licence texts at the top of a folder."""
    files = tuple(sorted(path for path in folder.iterdir() if path.is_file() and is_licence(path.name)))
    card = folder / "README.md"
    return (licence_of_card(card.read_text("utf-8", "replace")) if card.is_file() else None), files


def licence_of_pack(path: Path) -> tuple[str | None, tuple[Path, ...]] | None:
    """Return what `dizuo pack` wrote down of a file or folder in a folder that it was unpacked to, or None."""
    for home in list(path.parents)[:4]:
        try:
            pieces = json.loads((home / "pack.json").read_text("utf-8"))["pieces"]
            name = path.relative_to(home).as_posix()
            for piece in pieces:
                if f"{name}/".startswith(f"{piece['place']}/"):
                    files = [home / file for file in piece["licence_files"] if ".." not in str(file)]
                    return piece["licence"], tuple(file for file in files if file.is_file())
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def licence_of_card(text: str) -> str | None:
    """Return `license` of the YAML header of a model card."""
    import yaml

    match = re.match(r"\A---\s*\n(.*?)\n---\s*(\n|\Z)", text, re.DOTALL)
    if match is None:
        return None
    try:
        header: Any = yaml.safe_load(match[1])
    except yaml.YAMLError:
        return None
    if not isinstance(header, dict):
        return None
    stated = header.get("license_name") or header.get("license")
    if isinstance(stated, list):
        stated = ", ".join(str(item) for item in stated)
    return str(stated) if stated else None
