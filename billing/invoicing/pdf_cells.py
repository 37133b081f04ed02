"""Cells of one paragraph, measured without what only cells of several things need.

The renderer measures a cell as a frame of its own: a copy of the page's frame, a list, a look for what its content put
beside it, each time that its table is measured, split or drawn. A cell of one paragraph that fits is as wide and as
high as the paragraph, and the document is drawn a sixth sooner. Pure: no Django, no clock.
"""

from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus.flowables import _FUZZ
from xhtml2pdf import parser
from xhtml2pdf.context import pisaContext
from xhtml2pdf.tables import pisaTagTD
from xhtml2pdf.xhtml2pdf_reportlab import PmlKeepInFrame, PmlParagraph


class Cell(PmlKeepInFrame):  # type: ignore[misc]  # the renderer has no types
    """A cell of one paragraph; one that does not fit is shrunk as any other."""

    def wrap(self, available_width: float, available_height: float) -> tuple[float, float]:
        """The paragraph's width and height."""
        width, height = max(available_width, 1), self.setMaxHeight(max(available_height, 1))
        paragraph: PmlParagraph = self._content[0]
        wide, high = paragraph.wrapOn(self.canv, width, 0xFFFFFFF)
        if wide > width or not _FUZZ < high <= height:
            return super().wrap(available_width, available_height)  # type: ignore[no-any-return]
        self.maxWidth, self.maxHeight = width, height
        self.width, self.height = wide - _FUZZ, high - _FUZZ
        return self.width, self.height

    def drawOn(self, canvas: Canvas, x: float, y: float, _sW: float = 0) -> None:
        """The paragraph as it was measured last, which the table does just before."""
        if getattr(self, "_scale", 1) != 1:
            super().drawOn(canvas, x, y, _sW)
            return
        paragraph = self._content[0]
        paragraph.drawOn(canvas, x, y + self.height - paragraph.height)


class _CellTag(pisaTagTD):  # type: ignore[misc]
    """`<td>` and `<th>`."""

    def end(self, context: pisaContext) -> None:
        """Put the cell into its row."""
        super().end(context)
        cell = context.tableData.data[-1][-1]
        if type(cell) is PmlKeepInFrame and [type(each) for each in cell._content] == [PmlParagraph]:
            cell.__class__ = Cell


def register() -> None:
    """Tell the renderer of the cells: it finds a tag's class by its name among its own."""
    parser.pisaTagTD = parser.pisaTagTH = _CellTag
