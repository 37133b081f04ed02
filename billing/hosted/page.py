"""What the customer's page of an invoice, and that of a line, print: texts in the customer's language."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, cast

from billing.hosted.charts import HEIGHT, WIDTH, chart_of
from billing.hosted.models import Dispute, HostedLink
from billing.hosted.words import words_of
from billing.invoicing.behind.queries import Behind, usage_behind
from billing.invoicing.document_context import PrintedLine, Writer, printed_invoice
from billing.invoicing.explaining.events import sample_of
from billing.invoicing.explaining.pivot import Values, pivot
from billing.invoicing.explaining.printing import printed
from billing.invoicing.explaining.queries import explanation
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.snapshots import Buyer, Seller
from billing.invoicing.states import InvoiceState
from billing.metering.months.errors import MonthDetached
from billing.payments.queries import Standing, with_standing
from billing.periods import local_date
from billing.pricing.words import plural

CHARTS: Final = 6
"""Lines whose usage is drawn on the page of the invoice: those of the largest amounts. The others have pages too."""


@dataclass(frozen=True, slots=True)
class ShownLine:
    """A line as its document prints it, with its number on the document."""

    position: int
    printed: PrintedLine
    questions: int


def writer_of(invoice: Invoice) -> Writer:
    """Writes in the language of the customer as it was at issue."""
    return Writer(locale=cast(Buyer, invoice.buyer)["locale"], currency=invoice.currency)


def page_of(link: HostedLink, now: datetime) -> dict[str, Any]:
    """The invoice; the number of queries does not grow with its lines."""
    invoice, write = link.invoice, writer_of(link.invoice)
    words = words_of(str(write.locale))
    shown = printed_invoice(invoice)
    positions = list(invoice.lines.order_by("position").values_list("position", flat=True))
    asked = list(_asked(link))
    counts = {place: sum(each.line.position == place for each in asked) for place in positions}
    numbered = iter(positions)
    sections = [
        (part.title, [ShownLine(place := next(numbered), line, counts[place]) for line in part.lines], part.sums)
        for part in shown.sections
    ]
    return {
        **_common(link, write), "printed": shown, "sections": sections, "standing": _standing(invoice, write, now),
        "charts": _charts(invoice, write, words), "questions": [_question(each) for each in asked],
    }  # fmt: skip


def line_page_of(link: HostedLink, line: InvoiceLine) -> dict[str, Any]:
    """How a line came about, with its usage as a picture and as a table, and what was asked about it."""
    write = writer_of(link.invoice)
    words = words_of(str(write.locale))
    told = explanation(line)
    return {
        **_common(link, write), "line": line, "explained": printed(told, write, sample=sample_of(told)),
        "chart": _chart(told.usage, write, words) if told.usage else None, "has_events": bool(told.events),
        "questions": [_question(each) for each in _asked(link) if each.line_id == line.pk],
    }  # fmt: skip


def _common(link: HostedLink, write: Writer) -> dict[str, Any]:
    words, seller = words_of(str(write.locale)), cast(Seller, link.invoice.seller)
    return {
        "words": words, "language": write.language, "invoice": link.invoice, "token": link.token,
        "seller": seller["name"], "colour": seller.get("colour") or "#1b2430",
        "title": f"{write.labels[link.invoice.kind]} {link.invoice.number}",
        "valid_until": words["valid_until"].format(day=write.day(link.expires_at.date())),
    }  # fmt: skip


def _standing(invoice: Invoice, write: Writer, now: datetime) -> dict[str, str]:
    """What is still to be paid; nothing for a credit note."""
    words = words_of(str(write.locale))
    if invoice.state == InvoiceState.VOID:
        return {"text": words["void"], "amount": ""}
    if invoice.kind != Invoice.Kind.INVOICE or invoice.total <= 0:
        return {"text": "", "amount": ""}
    today = local_date(now, invoice.entity.timezone)
    found = with_standing(Invoice.objects.filter(pk=invoice.pk), today).get()
    if not found.open:
        return {"text": words["paid"], "amount": ""}
    late = f" · {words['overdue']}" if found.standing == Standing.OVERDUE else ""
    return {"text": f"{words['still_to_pay']}{late}", "amount": write.money(found.open)}


def _charts(invoice: Invoice, write: Writer, words: Any) -> list[dict[str, Any]]:
    """The usage of the largest lines."""
    lines = invoice.lines.filter(kind=InvoiceLine.Kind.USAGE).select_related("stream__contract")
    largest = sorted(lines.order_by("-amount")[:CHARTS], key=lambda line: line.position)
    try:
        found = usage_behind(largest)
    except MonthDetached:
        return []
    charts = [(line, _chart(found[line.pk], write, words)) for line in largest if line.pk in found]
    return [chart | {"line": line} for line, chart in charts if chart]


def _chart(usage: Behind, write: Writer, words: Any) -> dict[str, Any] | None:
    """Usage by day and by values of dimensions: bars, and the same as a table."""
    table = pivot([(row.day, row.values, row.quantity) for row in usage.rows])
    chart = chart_of(table)
    if chart is None:
        return None
    names = [_name(values, words) for values in table.columns] or [words["all"]]
    names += [words["other"]] if table.left else []
    sums = usage.adds and len(names) > 1
    unit = plural(usage.unit, Fraction(chart.top)) if usage.unit else ""
    return {
        "bars": [
            {"bar": bar, "title": f"{_when(bar.when, write)}: {names[bar.series]} {write.short(bar.quantity)}"}
            for bar in chart.bars
        ],
        "width": WIDTH, "height": HEIGHT, "top": f"{write.short(chart.top)} {unit}".strip(),
        "first": _when(chart.first, write), "last": _when(chart.last, write),
        "names": names, "sums": sums,
        "rows": [(_when(when, write), [write.short(each) for each in _cells(row, sums)]) for when, row in table.rows],
        "totals": [write.short(each) for each in _cells(table.totals, sums)] if usage.adds else [],
    }  # fmt: skip


def _cells(row: list[Decimal], sums: bool) -> list[Decimal]:
    """Without the sum, where there is one column or days do not add up."""
    return row if sums or len(row) == 1 else row[:-1]


def _name(values: Values, words: Any) -> str:
    return " · ".join(value or words["no_value"] for value in values)


def _when(text: str, write: Writer) -> str:
    if len(text) == len("2023-11"):
        return write.month(date.fromisoformat(f"{text}-01"))
    return write.short_day(date.fromisoformat(text))


def _asked(link: HostedLink) -> Iterable[Dispute]:
    """What was asked by this link: whoever has another one reads nothing of it."""
    return link.disputes.select_related("line").order_by("id")


def _question(dispute: Dispute) -> dict[str, Any]:
    return {
        "line": dispute.line.position, "what": dispute.line.description, "question": dispute.question,
        "name": dispute.name, "answer": dispute.answer, "closed": dispute.settled_at is not None,
    }  # fmt: skip
