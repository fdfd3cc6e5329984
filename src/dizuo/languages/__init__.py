"""Messages in the reader's language: English as the rooms write it, or Chinese from one catalogue.

Rooms write plain English. Where text reaches a person (the shell's lines and errors, a page), the edge hands it to
`say`, which looks for the English template that made it and returns the Chinese one with the same values in it. What
has no template stays English, values are never touched, and JSON and files for programs are always English.

choosing.py      which language it is: `--lang`, `DIZUO_LANG`, then the locale of the environment
catalogue.py     English templates and their Chinese ones, read from zh.txt when Chinese is wanted
translating.py   finds the template of a finished text, also of several sentences, columns or lines
page_source.py   the texts of an HTML template, and the template with others in their place
zh.txt           the catalogue, with its glossary; `tests/languages` holds it complete

Standard library only, and nothing is read before Chinese is wanted.
"""

from __future__ import annotations

from dizuo.languages.choosing import LANGUAGES, choose, language, programs_read

__all__ = ["LANGUAGES", "choose", "language", "say", "say_on_page"]


def say(text: str) -> str:
    """Return a message in the language of the person at the terminal; beside JSON it is English."""
    return text if programs_read() else say_on_page(text)


def say_on_page(text: str) -> str:
    """Return a message for a page in the reader's language."""
    if language() == "en":
        return text
    from dizuo.languages.translating import translate

    return translate(text)
