"""The fonts of the documents, and what they can draw.

M PLUS 1p draws Latin, Greek, Cyrillic, Hebrew and Japanese; runs of characters that it lacks are drawn with the first
of the others that has them: Nanum Gothic Coding for Korean, Droid Sans Fallback for Chinese. Their licences (OFL 1.1,
OFL 1.1, Apache 2.0) lie beside them. Scripts whose letters join (Arabic, Hindi) need more than a font and are not
drawn. There is no ₹, ₺ or ₽: amounts carry ISO codes. Pure: no Django, no clock.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

from reportlab.pdfbase.ttfonts import TTFontFile

FONT_DIR: Final = Path(__file__).resolve().parents[2] / "static" / "fonts"
FONT_FILES: Final = ("MPLUS1p-Regular.ttf", "MPLUS1p-Bold.ttf")
OTHERS: Final = {"K": "NanumGothicCoding.ttf", "C": "DroidSansFallbackFull.ttf"}
"""Fonts for what the first lacks, by the family's name in the style sheet, in the order in which they are tried."""
_TEXT: Final = re.compile(r"(?<=>)[^<>]+(?=<)")


def printable(text: str) -> str:
    """The text as the font draws it best: composed letters, plain no-break spaces, nothing invisible."""
    composed = unicodedata.normalize("NFC", text).replace("\u202f", "\u00a0")
    return "".join(char for char in composed if unicodedata.category(char) != "Cf")


def unprintable(text: str) -> list[str]:
    """The characters that no font here can draw, each once, in order; empty when the text prints whole."""
    return list(dict.fromkeys(char for char in printable(text) if not char.isspace() and _family(char) is None))


def drawable(text: str) -> str:
    """The text with “?” for what no font can draw: for values of usage, which nobody can be asked to rename."""
    missing = str.maketrans(dict.fromkeys(unprintable(text), "?"))
    return printable(text).translate(missing)


def with_fonts(html: str) -> str:
    """A document that names, around each run of characters that the first font lacks, the font that has them."""
    needed = {family for char in set(html) if not char.isspace() and (family := _family(char))}
    if not needed:
        return html
    faces = "".join(
        f'@font-face {{ font-family: {family}; src: url("{OTHERS[family]}"); }} .{family} {{ font-family: {family}; }}'
        for family in sorted(needed)
    )
    head, body, rest = html.partition("<body>")
    return head.replace("</style>", f"{faces}</style>", 1) + body + _TEXT.sub(lambda found: _marked(found[0]), rest)


def _marked(text: str) -> str:
    """A text between tags with its runs of other fonts in elements of their own."""
    parts: list[tuple[str, str]] = []
    for char in text:
        family = ("" if char.isspace() else _family(char)) or ""
        if parts and parts[-1][0] == family:
            parts[-1] = family, parts[-1][1] + char
        else:
            parts.append((family, char))
    return "".join(f'<span class="{family}">{run}</span>' if family else run for family, run in parts)


def _family(char: str) -> str | None:
    """ "" for a character of the first font, the family of another that has it, None where none does."""
    if ord(char) in _drawn():
        return ""
    return next((family for family in OTHERS if ord(char) in _others(family)), None)


@cache
def _drawn() -> frozenset[int]:
    """The code points that both weights of the first font have."""
    return frozenset.intersection(*(frozenset(TTFontFile(str(FONT_DIR / name)).charToGlyph) for name in FONT_FILES))


@cache
def _others(family: str) -> frozenset[int]:
    """The code points that another font has."""
    return frozenset(TTFontFile(str(FONT_DIR / OTHERS[family])).charToGlyph)
