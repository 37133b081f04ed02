"""Tags that the renderer lacks.

`<pdf:pageof>` and `<pdf:pages words="Page {page} of {pages}">`: “Page 2 of 7” at the foot of each page without laying
the document out twice, as the renderer's own total does. Each page names a drawing of its own; `pages`, at the end of
the body, where their number is known, draws them all. `<pdf:keep>`, in the first cell of a row: no page ends between
this row and the next. Pure: no Django, no clock.
"""

from dataclasses import dataclass

from reportlab.lib.fonts import tt2ps
from reportlab.platypus import Flowable
from xhtml2pdf import default, parser
from xhtml2pdf.context import pisaContext
from xhtml2pdf.tags import pisaTag


@dataclass(frozen=True, slots=True)
class Type:
    """How the words look: a font by its name in the file, its size and its line in points, a colour."""

    font: str
    size: float
    leading: float
    colour: object


class PageOf(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The place of a page's words: a line, which they end at its right edge."""

    def __init__(self, look: Type) -> None:
        super().__init__()
        self.look = look

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """A whole line."""
        self.width, self.height = available_width, self.look.leading
        return self.width, self.height

    def draw(self) -> None:
        """Name the page's drawing, which `Pages` makes."""
        self.canv.translate(self.width, self.look.leading - self.look.size)
        self.canv.doForm(_name(self.canv.getPageNumber()))


class Pages(Flowable):  # type: ignore[misc]
    """The end of the document, of no height: the words of every page, now that their number is known."""

    widest = 200
    """Points that the words may take."""

    def __init__(self, words: str, look: Type) -> None:
        super().__init__()
        self.words, self.look = words, look

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """Nothing."""
        return 0, 0

    def draw(self) -> None:
        """A drawing for each page."""
        pages = self.canv.getPageNumber()
        for page in range(1, pages + 1):
            self.canv.beginForm(_name(page), -self.widest, -self.look.leading, 0, self.look.leading)
            self.canv.setFont(self.look.font, self.look.size)
            self.canv.setFillColor(self.look.colour)
            self.canv.drawRightString(0, 0, self.words.format(page=page, pages=pages))
            self.canv.endForm()


def _name(page: int) -> str:
    return f"page{page}"


class _Tag(pisaTag):  # type: ignore[misc]
    """A tag that takes its look from where it stands."""

    def look(self, context: pisaContext) -> Type:
        """The font of the element around it."""
        frag = context.frag
        return Type(
            tt2ps(frag.fontName, frag.bold, frag.italic), frag.fontSize, frag.fontSize * 7 / 5, frag.textColor
        )  # fmt: skip


class _PageOfTag(_Tag):
    """`<pdf:pageof>`."""

    def start(self, context: pisaContext) -> None:
        """Put the place into the text."""
        context.addPara()
        context.addStory(PageOf(self.look(context)))


class _PagesTag(_Tag):
    """`<pdf:pages words="…">`."""

    def start(self, context: pisaContext) -> None:
        """Put the end into the text."""
        context.addPara()
        context.addStory(Pages(self.attr.words, self.look(context)))


class _KeepTag(pisaTag):  # type: ignore[misc]
    """`<pdf:keep>`."""

    def start(self, context: pisaContext) -> None:
        """Tell the table; ranges of one column may overlap, so a heading, a line and its first step stay together."""
        table = context.tableData
        table.add_style(("NOSPLIT", (0, table.row), (0, table.row + 1)))


def register() -> None:
    """Tell the renderer of the tags: it finds a tag's class by its name among its own."""
    default.TAGS["pdfpageof"] = (0, {})
    default.TAGS["pdfpages"] = (0, {"words": (default.STRING, default.MUST)})
    default.TAGS["pdfkeep"] = (0, {})
    parser.pisaTagPDFKEEP = _KeepTag
    parser.pisaTagPDFPAGEOF, parser.pisaTagPDFPAGES = _PageOfTag, _PagesTag
