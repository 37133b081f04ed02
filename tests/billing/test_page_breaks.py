"""Where the pages of a document end: a line with its first step, and each page with its number. Without a database."""

import io

import pypdf

from billing.invoicing.rendering import render_html

PAGE = """<html><head><style>
@page {{ size: a4; @frame body {{ left: 2cm; width: 17cm; top: 1cm; height: 25cm; }}
@frame foot {{ -pdf-frame-content: foot; left: 2cm; width: 17cm; top: 27cm; height: 1cm; }} }}
p {{ margin: 0; }}
</style></head><body><table>{rows}</table><p><pdf:pages words="Sheet {{page}} of {{pages}}"></pdf:pages></p>
<div id="foot"><pdf:pageof></pdf:pageof></div></body></html>"""


def pages(rows: str) -> list[str]:
    """The text of each page of a table with these rows."""
    drawn = pypdf.PdfReader(io.BytesIO(render_html(PAGE.format(rows=rows)).bytes))
    return [" ".join(page.extract_text().split()) for page in drawn.pages]


def test_it_works() -> None:
    texts = pages("<tr><td>Tokens</td></tr>" * 200)
    assert len(texts) > 2
    assert all(f"Sheet {number} of {len(texts)}" in text for number, text in enumerate(texts, start=1))


def test_a_row_that_is_kept_stands_on_the_page_of_the_next_one_wherever_the_page_ends() -> None:
    for before in range(3):  # so that the page would end after each of the three rows in turn
        group = "<tr><td><pdf:keep></pdf:keep>head{0}.</td></tr><tr><td><pdf:keep></pdf:keep>line{0}.</td></tr>"
        rows = "<tr><td>one</td></tr>" * before
        rows += "".join(f"{group.format(number)}<tr><td>step{number}.</td></tr>" for number in range(60))
        texts = pages(rows)
        assert len(texts) > 2
        for number in range(60):
            together = [f"{word}{number}." for word in ("head", "line", "step")]
            assert any(all(word in text for word in together) for text in texts), number
