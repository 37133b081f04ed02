"""What the pages of usage show of invoices: the lines that billed an event, and what a claim changes on them."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q
from django.http import HttpRequest

from billing.catalog.models import SubscriptionInterval
from billing.catalog.terms.models import SubscriptionTerm
from billing.invoicing.consequences import consequences
from billing.invoicing.explaining.page import line_url
from billing.invoicing.models import InvoiceLine
from billing.metering.asking import Known
from billing.metering.explorer.events import Fate, Stored
from billing.metering.explorer.parts import Card
from billing.metering.models import EventBatch
from billing.periods import Period, local_date
from config import clock
from customers.backoffice import amount_text, change_url
from customers.models import Contract, Customer


def event_card(request: HttpRequest, event: Stored, fate: Fate) -> Card | None:
    """The invoice lines of the slots that an event falls into, and which was the first to know it."""
    if not request.user.has_perm("billing.view_invoice"):
        return None
    counting = [verdict.meter.pk for verdict in fate.verdicts if verdict.counts]
    streams = _streams(fate.customer_id, counting, event) if fate.customer_id else []
    lines = _lines(streams, event)
    position = _position(event)
    knew = [line for line in lines if _knew(line, event, position)]
    first = {line.slot_id: line.pk for line in reversed(knew)}
    content = {
        "rows": [_row(line, first.get(line.slot_id) == line.pk, line in knew) for line in lines],
        "priced": bool(streams),
        "billed": bool(knew),
        "counts": bool(counting) and fate.customer_id is not None,
    }
    return Card("Invoice lines", "billing/admin/event_invoices.html", content)


def _streams(customer_id: int, meters: list[int], event: Stored) -> list[tuple[int, int]]:
    """Subscription and charge code of every charge that counted with these meters for the customer at the time."""
    then = Q(Q(end=None) | Q(end__gt=event.ts), start__lte=event.ts, superseded_at=None)
    then &= Q(subscription__contract__customer=customer_id)
    planned = SubscriptionInterval.objects.filter(then, version__charges__meter__in=meters)
    own = SubscriptionTerm.objects.filter(then, Q(charge__meter__in=meters) | Q(meter__in=meters))
    found = planned.order_by().values_list("subscription_id", "version__charges__code_id")
    return list(found.union(own.order_by().values_list("subscription_id", "code_id")))


def _lines(streams: list[tuple[int, int]], event: Stored) -> list[InvoiceLine]:
    """The lines of the slots whose cycle contains the event, in the order of their revisions, drafts last."""
    chosen = Q(pk=None)
    for subscription, code in streams:
        chosen |= Q(slot__stream__subscription=subscription, slot__stream__charge_code=code)
    lines = InvoiceLine.objects.filter(
        chosen, slot__cycle_start__lte=event.ts, slot__cycle_end__gt=event.ts
    ).select_related("invoice", "stream__contract", "invoice__run", "charge")
    return sorted(lines, key=lambda line: (line.slot_id, line.revision is None, line.revision or 0, line.pk))


def _position(event: Stored) -> int | None:
    """The place of the event's batch in the order in which facts became known; None while it is pending."""
    return EventBatch.objects.values_list("position", flat=True).get(pk=event.batch)


def _knew(line: InvoiceLine, event: Stored, position: int | None) -> bool:
    """Whether the line was computed when the event was known; by time where its invoice kept no position."""
    invoice = line.invoice
    if invoice.known_position is None:
        return event.recorded_at <= invoice.updated_at
    return Known(invoice.known_position, frozenset(invoice.known_pending or ())).includes(event.batch, position)


def _row(line: InvoiceLine, billed: bool, known: bool) -> dict[str, Any]:
    """One line as texts."""
    invoice, zone = line.invoice, line.stream.contract.timezone
    return {
        "invoice": invoice.number or str(invoice).capitalize(),
        "url": change_url(invoice),
        "line_url": line_url(line),
        "position": line.position,
        "description": line.description,
        "days": _days(Period(line.service_start, line.service_end), zone),
        "amount": amount_text(line.amount, invoice.currency),
        "negative": line.amount < 0,
        "says": _says(line, billed, known),
        "billed": billed,
    }


def _says(line: InvoiceLine, billed: bool, known: bool) -> str:
    """What a line is to the event: the first that counted it, a later one of the same slot, or an earlier one."""
    if billed:
        return "Billed it" if line.revision else "Would bill it"
    return "Counts it too" if known else "Came before it"


def _days(period: Period, zone: str) -> str:
    """First and last day in a time zone."""
    first, last = local_date(period.start, zone), local_date(period.until - timedelta(microseconds=1), zone)
    return f"{first} – {last}"


def claim_card(request: HttpRequest, customer: Customer, act: Callable[[], object]) -> Card | None:
    """Which invoiced lines of the customer would come to another amount; the next invoice bills the difference."""
    if not request.user.has_perm("billing.view_invoice"):
        return None
    found = sorted(
        consequences(customer_ids=[customer.pk], act=act, now=clock.now()),
        key=lambda each: (each.contract, each.name, each.cycle.start),
    )
    zones = dict(Contract.objects.filter(customer=customer).values_list("pk", "timezone"))
    rows = [
        {
            "contract": each.contract,
            "name": each.name,
            "days": _days(each.cycle, zones[each.contract_id]),
            "before": amount_text(each.before, each.currency),
            "after": amount_text(each.after, each.currency),
            "amount": amount_text(each.amount, each.currency),
            "negative": each.amount < 0,
        }
        for each in found
    ]
    sums: dict[str, Decimal] = {}
    for each in found:
        sums[each.currency] = sums.get(each.currency, Decimal(0)) + each.amount
    total = " and ".join(amount_text(amount, currency) for currency, amount in sorted(sums.items()))
    content = {"rows": rows, "total": total}
    return Card("Cycles that are invoiced already", "billing/admin/claim_invoices.html", content)
