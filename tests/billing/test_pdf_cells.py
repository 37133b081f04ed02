"""Cells that are measured in short stand exactly where the renderer's own put their words."""

from io import BytesIO
from typing import Any

import pypdf
import pytest
from xhtml2pdf import parser, tables

from billing.invoicing.rendering import render_html

LONG = "W" * 60
ROWS = "".join(f"<tr><td>Line {n}</td><td align='right'>{n},000.00<br/>and more</td><td></td></tr>" for n in range(90))
HTML = f"""<html><head><style>
@font-face {{ font-family: M; src: url("MPLUS1p-Regular.ttf"); }}
@page {{ size: a4 portrait; @frame content {{ left: 17mm; width: 176mm; top: 16mm; height: 254mm; }} }}
body {{ font-family: M; font-size: 9pt; }} td, th {{ padding: 1mm; vertical-align: top; }}
</style></head><body>
<table repeat="1">
<thead><tr><th style="width: 50%">What</th><th style="width: 30%">How much</th><th>Why</th></tr></thead>
<tbody>{ROWS}</tbody></table>
<table><tr><td style="width: 10%">{LONG}</td><td><p>one</p><p>two</p></td>
<td><table><tr><td>inside</td></tr></table></td></tr></table>
<table><tr><td>{"many words " * 1500}</td><td>beside</td></tr></table>
</body></html>"""


def words(content: bytes) -> list[list[tuple[str, int, int]]]:
    """The words of each page with their places, in tenths of a point."""
    pages = []
    for page in pypdf.PdfReader(BytesIO(content)).pages:
        found: list[tuple[str, int, int]] = []

        def visit(text: str, cm: Any, tm: Any, *rest: Any, found: list[tuple[str, int, int]] = found) -> None:
            if text.strip():
                place = pypdf.mult(tm, cm)
                found.append((text.strip(), round(place[4] * 10), round(place[5] * 10)))

        page.extract_text(visitor_text=visit)
        pages.append(found)
    return pages


def test_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    short = render_html(HTML)
    monkeypatch.setattr(parser, "pisaTagTD", tables.pisaTagTD)
    monkeypatch.setattr(parser, "pisaTagTH", tables.pisaTagTH)
    own = render_html(HTML)
    assert words(short.bytes) == words(own.bytes)
    assert short.pages == own.pages > 3
    assert any(LONG in text for page in words(short.bytes) for text, _, _ in page)
