"""What review reads of drafts and of the invoices before them: constant queries, however many drafts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from decimal import Decimal

from django.db import connection
from django.db.models import Max, Min

from billing.invoicing.holds.models import Hold
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.models import ApprovalPolicy, Preparation
from billing.invoicing.review.rules import Item
from billing.metering.alerts.models import UsageAlert

_EARLIER = """
    SELECT d.id, p.id, p.total, y.id, y.total
    FROM billing_invoice d
    LEFT JOIN LATERAL (
        SELECT e.id, e.total FROM billing_invoice e
        WHERE {same} AND e.as_of <= d.as_of ORDER BY e.as_of DESC, e.id DESC LIMIT 1
    ) p ON true
    LEFT JOIN LATERAL (
        SELECT e.id, e.total FROM billing_invoice e
        WHERE {same} AND e.as_of BETWEEN (d.as_of - interval '1 year 10 days')::date
                                     AND (d.as_of - interval '355 days')::date
        ORDER BY abs(e.as_of - (d.as_of - interval '1 year')::date), e.id DESC LIMIT 1
    ) y ON true
    WHERE d.id = ANY(%s) AND NOT d.apart
""".format(
    same="e.customer_id = d.customer_id AND e.entity_id = d.entity_id AND e.currency = d.currency"
    " AND e.\"group\" = d.\"group\" AND NOT e.apart AND e.kind = 'invoice' AND e.state IN ('approved', 'issued')"
    " AND e.id <> d.id"
)


@dataclass(frozen=True, slots=True)
class Earlier:
    """The approved or issued invoice before a draft, and that of the same period last year, with their totals."""

    previous_id: int | None = None
    previous_total: Decimal | None = None
    year_id: int | None = None
    year_total: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A customer's days (UTC), first and last included."""

    customer_id: int
    first: date
    last: date

    @property
    def before(self) -> date:
        """The first day of the time before, which is as long."""
        return self.first - (self.last - self.first) - timedelta(days=1)


def earlier_of(invoice_ids: Collection[int]) -> dict[int, Earlier]:
    """What to compare drafts with, of the same payer, group, seller and currency; corrections alone have nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_EARLIER, [list(invoice_ids)])
        return {draft: Earlier(*rest) for draft, *rest in cursor.fetchall()}


def items_of(invoice_ids: Collection[int]) -> dict[int, list[Item]]:
    """What invoices ask for, by invoice id; one query."""
    lines = InvoiceLine.objects.filter(invoice__in=list(invoice_ids)).order_by("invoice", "position")
    found: dict[int, list[Item]] = defaultdict(list)
    for line in lines.select_related("charge__version__plan", "stream"):
        found[line.invoice_id].append(_item(line))
    return found


def _item(line: InvoiceLine) -> Item:
    version = line.charge.version if line.charge else None
    terms = line.terms or {}
    quantity = Decimal(str(terms["quantity"])) if terms.get("quantity") is not None else line.quantity
    plain = line.kind in (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.RECURRING)
    return Item(
        key=(line.stream_id, line.kind), name=line.charge.name if line.charge and plain else line.description,
        amount=line.amount, quantity=quantity, unit=line.unit, metered=line.kind == InvoiceLine.Kind.USAGE,
        version=version.pk if version else None, version_name=str(version) if version else "",
        price=str(terms.get("amount", "")), corrects=line.corrects_id is not None,
        days=-((line.service_start - line.service_end) // timedelta(days=1)),
    )  # fmt: skip


def customers_on(invoice_ids: Collection[int]) -> dict[int, set[int]]:
    """Whose lines stand on invoices, by invoice id; one query."""
    rows = InvoiceLine.objects.filter(invoice__in=list(invoice_ids)).order_by()
    found: dict[int, set[int]] = defaultdict(set)
    for invoice, customer in rows.values_list("invoice", "stream__contract__customer").distinct():
        found[invoice].add(customer)
    return found


def spans_of(invoice_ids: Collection[int]) -> dict[int, list[Span]]:
    """The days whose usage invoices bill for the first time, by invoice id and customer; one query."""
    lines = InvoiceLine.objects.filter(invoice__in=list(invoice_ids), kind=InvoiceLine.Kind.USAGE, corrects=None)
    rows = lines.order_by().values_list("invoice", "stream__contract__customer")
    found: dict[int, list[Span]] = defaultdict(list)
    for invoice, customer, start, end in rows.annotate(start=Min("service_start"), end=Max("service_end")):
        first, last = start.astimezone(UTC).date(), (end - timedelta(microseconds=1)).astimezone(UTC).date()
        found[invoice].append(Span(customer, first, last))
    return found


def held_now(customer_ids: Collection[int]) -> dict[int, list[str]]:
    """What of these customers is held at present, as sentences; one query."""
    standing = Hold.objects.filter(contract__customer__in=customer_ids, released_at=None, ended_at=None)
    found: dict[int, list[str]] = defaultdict(list)
    for hold in standing.select_related("contract").order_by("id"):
        found[hold.contract.customer_id].append(f"{hold.contract} is held: {hold.sentence}")
    return found


def alerts_now(customer_ids: Collection[int]) -> dict[int, list[str]]:
    """Usage of these customers that stopped or jumped and is not as usual again; one query."""
    standing = UsageAlert.objects.filter(customer__in=customer_ids, closed_at=None, acknowledged_at=None)
    found: dict[int, list[str]] = defaultdict(list)
    for alert in standing.select_related("meter").order_by("id"):
        if alert.customer_id:
            found[alert.customer_id].append(f"{alert.get_kind_display()}: {alert.meter}, since {alert.since:%Y-%m-%d}")
    return found


def preparations_of(invoice_ids: Iterable[int]) -> dict[int, list[Preparation]]:
    """Who prepared invoices, by invoice id; one query."""
    found: dict[int, list[Preparation]] = defaultdict(list)
    for each in Preparation.objects.filter(invoice__in=list(invoice_ids)).select_related("user").order_by("id"):
        found[each.invoice_id].append(each)
    return found


def policies_for(invoices: Collection[Invoice]) -> Mapping[int, ApprovalPolicy]:
    """Which policy holds for each, by invoice id: the customer's before its seller's, the latest said; one query."""
    said = list(ApprovalPolicy.objects.filter(entity__in={each.entity_id for each in invoices}).order_by("since", "id"))
    found = {}
    for invoice in invoices:
        mine = [
            each
            for each in said
            if each.entity_id == invoice.entity_id and each.since <= invoice.as_of
            and each.currency == invoice.currency
            and each.customer_id in (None, invoice.customer_id)
        ]  # fmt: skip
        if mine:
            found[invoice.pk] = max(enumerate(mine), key=lambda each: (each[1].customer_id is not None, each[0]))[1]
    return found


def unassessed(limit: int) -> list[int]:
    """Open drafts that nobody assessed since their lines changed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT i.id FROM billing_invoice i LEFT JOIN billing_assessment a ON a.invoice_id = i.id"
            " WHERE i.state = 'draft' AND a.drafted_at IS DISTINCT FROM i.updated_at ORDER BY i.id DESC LIMIT %s",
            [limit],
        )
        return [pk for (pk,) in cursor.fetchall()]
