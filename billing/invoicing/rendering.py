"""HTML to PDF by xhtml2pdf: byte-equal for equal HTML, and refused when a character would print as a box."""

import hashlib
import io
from dataclasses import dataclass

import pypdf
import reportlab.rl_config
from xhtml2pdf import pisa

from billing.invoicing import pdf_cells, pdf_tags
from billing.invoicing.errors import GlyphsMissing, RenderFailed
from billing.invoicing.fonts import FONT_DIR, printable, unprintable, with_fonts
from billing.invoicing.garbage import without_collecting

reportlab.rl_config.invariant = 1  # no clock and no chance in the file: the same invoice gives the same bytes
pdf_tags.register()
pdf_cells.register()

_SHEET = """
html { font-family: Helvetica; font-size: 10px; color: #000000; margin: 0; padding: 0; line-height: 150%;
       border: 1px none; display: inline; width: auto; height: auto; white-space: normal; }
h2 { font-weight: bold; }
body, div, h2, p, table, th, tr, td { display: block; }
tr, th, td { vertical-align: middle; width: auto; }
"""
"""What a style sheet need not say, for the elements that documents have: the renderer tries each of its own rules, for
lists and headings of all kinds, on each cell, which takes a tenth of the time."""
_NO_GLYPH = "No font this document has can draw"  # the renderer draws a box and only warns


@dataclass(frozen=True, slots=True)
class Rendered:
    """A PDF file's bytes and its number of pages."""

    bytes: bytes
    pages: int

    @property
    def sha256(self) -> str:
        """The file's digest, hexadecimal."""
        return hashlib.sha256(self.bytes).hexdigest()


def render_html(html: str) -> Rendered:
    """Draw an HTML document; fonts are found by their file names in `static/fonts`.

    GlyphsMissing names the characters that would print as boxes; RenderFailed anything else that went wrong.
    """
    text, out = with_fonts(printable(html)), io.BytesIO()
    with without_collecting():
        result = pisa.CreatePDF(
            text, dest=out, path=str(FONT_DIR / "invoice.html"), encoding="utf-8", default_css=_SHEET
        )
    if any(_NO_GLYPH in str(message) for _, _, message, _ in result.log):
        raise GlyphsMissing(unprintable(text))
    if result.err:
        raise RenderFailed(f"The document could not be drawn: {result.log[0][2] if result.log else 'unknown reason'}.")
    content = out.getvalue()
    return Rendered(bytes=content, pages=len(pypdf.PdfReader(io.BytesIO(content)).pages))
