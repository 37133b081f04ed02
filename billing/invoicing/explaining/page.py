"""What the page of a line shows: everything that is known of how it came about, with links to where it is kept."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Model
from django.urls import NoReverseMatch, reverse

from billing.catalog.coupons.models import Redemption
from billing.catalog.terms.models import SubscriptionTerm
from billing.invoicing.behind.queries import Behind
from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.document_context import Writer
from billing.invoicing.explaining.events import counted_text
from billing.invoicing.explaining.pivot import pivot
from billing.invoicing.explaining.printing import printed
from billing.invoicing.explaining.values import Agreed, Billed, Explanation, PriceOrigin
from billing.invoicing.formatting import ADDEND_PLACES
from billing.invoicing.invoice_page import shown_step
from billing.invoicing.late.wording import late_in_words
from billing.invoicing.models import InvoiceLine
from billing.invoicing.shown import shown_steps
from billing.metering.asking import CountedEvent
from billing.metering.explorer.explorer_page import address
from billing.metering.explorer.wording import event_url
from billing.periods import Period, local_date, zone
from customers.backoffice import amount_text, change_url, quantity_text

MOST_ROWS = 50
"""Lines of the same thing that are shown: those before and after this one that are nearest."""


class OfficeWriter(Writer):
    """Writes as the back office does: English words, ISO dates."""

    def __init__(self, currency: str) -> None:
        super().__init__(locale="en", currency=currency)

    def day(self, day: date) -> str:
        """`2023-11-30`."""
        return day.isoformat()

    short_day = day

    def amount(self, amount: Decimal) -> str:
        """`USD −1,234.50`."""
        return amount_text(amount, self.currency)

    money = amount

    def addend(self, amount: Decimal) -> str:
        """`USD 300.281552`: with at most six places."""
        return amount_text(round(amount, ADDEND_PLACES), self.currency)

    def period(self, start: datetime, end: datetime, timezone: str) -> str:
        """`2023-11-01 – 2023-11-30`."""
        return days_text(Period(start, end), timezone)


def line_url(line: InvoiceLine, page: str = "line") -> str:
    """Address of the page of a line, or of its file of events."""
    return reverse(f"admin:billing_invoice_{page}", args=[line.invoice_id, line.position])


def page_of(explanation: Explanation, sample: list[CountedEvent]) -> dict[str, Any]:
    """Everything that `templates/billing/admin/line.html` prints."""
    line, currency = explanation.line, explanation.currency
    told = printed(explanation, OfficeWriter(currency))
    return {
        "told": told,
        "line": line,
        "invoice": line.invoice,
        "subscription": line.stream.subscription,
        "amount": amount_text(line.amount, currency),
        "prices": [_price(each, explanation.timezone) for each in explanation.origins],
        "agreed": [_agreed(each, explanation.timezone) for each in explanation.agreed],
        "steps": [shown_step(step, currency) for step in shown_steps(line.steps)],
        "billed": _billed(explanation),
        "usage": _usage(explanation.usage) if explanation.usage else None,
        "usage_url": _usage_url(explanation),
        "events": quantity_text(explanation.events),
        "many": explanation.events != 1,
        "sample": [_event(each, explanation.timezone) for each in sample],
        "events_url": line_url(line, "line_events"),
        "known": explanation.known,
        "timezone": explanation.timezone,
    }


def days_text(period: Period, timezone: str) -> str:
    """First and last day in a time zone; “since” where it is open."""
    first = local_date(period.start, timezone)
    if period.end is None:
        return f"since {first}"
    last = local_date(period.until - timedelta(microseconds=1), timezone)
    return f"{first} – {last}" if first != last else f"{first}"


def _price(origin: PriceOrigin, timezone: str) -> dict[str, Any]:
    own = "Added for this customer" if origin.agreed else "This customer’s own terms"
    return {
        "days": days_text(origin.period, timezone),
        "version": f"{origin.plan}, version {origin.number}" if origin.plan else own,
        "url": change_url(origin.version) if origin.version else "",
        "words": origin.price,
        "conversions": origin.conversions,
        "change": _agreed(origin.change, timezone) if origin.change else None,
        "agreed": [_agreed(each, timezone) for each in origin.agreed],
    }


def _agreed(agreed: Agreed, timezone: str) -> dict[str, Any]:
    """One agreement: what, since when, why, by whom."""
    days = days_text(Period(agreed.start, agreed.end), timezone) if agreed.start else ""
    return {
        "label": agreed.label, "words": agreed.words, "days": days, "reason": agreed.reason,
        "by": agreed.recorded_by or "system", "at": agreed.recorded_at,
        "since": local_date(agreed.start, timezone) if agreed.start else None, "url": _kept_at(agreed.record),
    }  # fmt: skip


def _kept_at(record: Any) -> str:
    """The page on which a fact stands; nothing where there is none."""
    shown: Model | None = record
    match record:
        case SubscriptionTerm():
            shown = record.subscription
        case Redemption():
            shown = record.coupon
        case Adjustment():
            return line_url(record.line)
    try:
        return change_url(shown) if shown else ""
    except NoReverseMatch:
        return ""


def _billed(explanation: Explanation) -> list[dict[str, Any]]:
    """The lines of the same thing, those that are far from this one left out."""
    rows = explanation.billed
    if len(rows) < 2:
        return []
    place = next(place for place, each in enumerate(rows) if each.place == "this")
    return [_row(each, explanation) for each in rows[max(0, place - MOST_ROWS) : place + MOST_ROWS]]


def _row(each: Billed, explanation: Explanation) -> dict[str, Any]:
    line = each.line
    return {
        "text": f"{line.invoice.number or str(line.invoice).capitalize()}, line {line.position}",
        "url": line_url(line),
        "this": each.place == "this",
        "description": line.description,
        "state": line.invoice.get_state_display(),
        "late": late_in_words(line.late, line.quantity, line.unit, quantity_text),
        "quantity": quantity_text(line.quantity) if line.quantity is not None else "",
        "amount": amount_text(line.amount, explanation.currency),
        "stands": amount_text(each.stands, explanation.currency),
        "negative": line.amount < 0,
    }  # fmt: skip


def _usage(behind: Behind) -> dict[str, Any] | None:
    """The table of days; of what does not add up, each day alone."""
    if not behind.rows:
        return None
    found = pivot([(row.day, row.values, row.quantity) for row in behind.rows])
    return {
        "dimensions": " · ".join(behind.dimensions),
        "columns": [" · ".join(value or "none" for value in values) for values in found.columns],
        "left": found.left,
        "rows": [(when, [quantity_text(each) for each in cells]) for when, cells in found.rows],
        "totals": [quantity_text(each) for each in found.totals] if behind.adds else [],
        "adds": behind.adds,
    }


def _usage_url(explanation: Explanation) -> str:
    """The explorer at the usage of a line."""
    if explanation.usage is None:
        return ""
    line = explanation.line
    period = Period(line.service_start, line.service_end)
    customer = line.stream.contract.customer_id
    return address(explanation.usage.meter, customer, period=period, timezone=explanation.timezone)


def _event(event: CountedEvent, timezone: str) -> dict[str, Any]:
    local = event.time.astimezone(zone(timezone))
    value = event.value
    return {
        "time": f"{local:%Y-%m-%d %H:%M:%S}", "id": event.id, "url": event_url(event.source, event.id),
        "source": event.source, "subject": event.subject, "values": [each or "none" for each in event.values],
        "quantity": quantity_text(value) if isinstance(value, Decimal) else counted_text(event),
    }  # fmt: skip
