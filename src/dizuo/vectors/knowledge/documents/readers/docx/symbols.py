"""Characters of the fonts Symbol and Wingdings, which have no Unicode of their own in a Word document (`w:sym`).

The tables hold what documents use: Greek letters and signs of mathematics, boxes, ticks, arrows, bullets. Sources:
Unicode's mapping of Adobe's Symbol encoding (VENDORS/ADOBE/symbol.txt), and for Wingdings the characters of equal
shape that Unicode 7 took in.
"""

from __future__ import annotations

__all__ = ["read_symbol"]

_SYMBOL = {
    **dict(zip(range(0x41, 0x5B), "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", strict=True)),
    **dict(zip(range(0x61, 0x7B), "αβχδεφγηιϕκλμνοπθρστυϖωξψζ", strict=True)),
    0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "∗", 0x2D: "−", 0x40: "≅", 0x5C: "∴", 0x5E: "⊥", 0x7E: "∼",
    0xA2: "′", 0xA3: "≤", 0xA5: "∞", 0xA6: "ƒ", 0xAB: "↔", 0xAC: "←", 0xAD: "↑", 0xAE: "→", 0xAF: "↓",
    0xB0: "°", 0xB1: "±", 0xB2: "″", 0xB3: "≥", 0xB4: "×", 0xB5: "∝", 0xB6: "∂", 0xB7: "•", 0xB8: "÷", 0xB9: "≠",
    0xBA: "≡", 0xBB: "≈", 0xBC: "…", 0xC4: "⊗", 0xC5: "⊕", 0xC6: "∅", 0xC7: "∩", 0xC8: "∪", 0xC9: "⊃", 0xCA: "⊇",
    0xCB: "⊄", 0xCC: "⊂", 0xCD: "⊆", 0xCE: "∈", 0xCF: "∉", 0xD0: "∠", 0xD1: "∇", 0xD2: "®", 0xD3: "©", 0xD4: "™",
    0xD5: "∏", 0xD6: "√", 0xD7: "⋅", 0xD8: "¬", 0xD9: "∧", 0xDA: "∨", 0xDB: "⇔", 0xDC: "⇐", 0xDD: "⇑", 0xDE: "⇒",
    0xDF: "⇓", 0xE2: "®", 0xE3: "©", 0xE4: "™", 0xE5: "∑", 0xF2: "∫",
}  # fmt: skip
_WINGDINGS = {
    0x28: "☎", 0x2A: "✉", 0x4A: "☺", 0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x76: "❖", 0x9F: "•", 0xA7: "▪",
    0xA8: "☐", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓",
    0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS}


def read_symbol(font: str, code: str) -> str | None:
    """Return the character of a symbol, or None where it has none that is known.

    Args:
        font: the font's name.
        code: of the character, in hexadecimal; symbol fonts are moved up by F000.

    >>> read_symbol("Wingdings", "F0FE"), read_symbol("Arial", "00E9")
    ('☑', 'é')
    """
    try:
        number = int(code, 16)
    except ValueError:
        return None
    table = _FONTS.get(font.lower())
    if table is not None:
        return table.get(number - 0xF000 if number >= 0xF000 else number)
    private = 0xE000 <= number <= 0xF8FF or 0xD800 <= number <= 0xDFFF or not 0 < number <= 0x10FFFF
    return None if private else chr(number)
