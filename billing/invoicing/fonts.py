"""The font of the documents, M PLUS 1p: Latin, Greek, Cyrillic and Japanese in one family; and what it can draw.

Its licence (OFL 1.1) lies beside it. It has no ₹, ₺ or ₽: amounts carry ISO codes. Pure: no Django, no clock.
"""

import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from reportlab.pdfbase.ttfonts import TTFontFile

FONT_DIR: Final = Path(__file__).resolve().parents[2] / "static" / "fonts"
FONT_FILES: Final = ("MPLUS1p-Regular.ttf", "MPLUS1p-Bold.ttf")


def printable(text: str) -> str:
    """The text as the font draws it best: composed letters, plain no-break spaces, nothing invisible."""
    composed = unicodedata.normalize("NFC", text).replace("\u202f", "\u00a0")
    return "".join(char for char in composed if unicodedata.category(char) != "Cf")


def unprintable(text: str) -> list[str]:
    """The characters that the font cannot draw, each once, in order; empty when the text prints whole."""
    drawn = _drawn()
    return list(dict.fromkeys(char for char in printable(text) if ord(char) not in drawn and not char.isspace()))


def drawable(text: str) -> str:
    """The text with “?” for what the font cannot draw: for values of usage, which nobody can be asked to rename."""
    missing = str.maketrans(dict.fromkeys(unprintable(text), "?"))
    return printable(text).translate(missing)


@cache
def _drawn() -> frozenset[int]:
    """The code points that both weights of the font have."""
    return frozenset.intersection(*(frozenset(TTFontFile(str(FONT_DIR / name)).charToGlyph) for name in FONT_FILES))
