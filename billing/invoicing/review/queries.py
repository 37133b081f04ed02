"""What review reads of drafts and of the invoices before them: constant queries, however many drafts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import connection
from django.db.models import Count, Max, Min, Q
from django.db.models.fields.json import KeyTextTransform

from billing.catalog.models import Charge
from billing.invoicing.holds.models import Hold
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.review.models import ApprovalPolicy, Preparation
from billing.invoicing.review.rules import Item
from billing.invoicing.states import InvoiceState
from billing.metering.alerts.models import UsageAlert

_EARLIER = """
    WITH draft AS MATERIALIZED (
        SELECT id, customer_id, entity_id, currency, "group", as_of FROM billing_invoice
        WHERE id = ANY(%s) AND NOT apart),
    theirs AS MATERIALIZED (
        SELECT id, customer_id, entity_id, currency, "group", as_of, total, kind, state, apart FROM billing_invoice
        WHERE customer_id = ANY(%s)),
    earlier AS MATERIALIZED (
        SELECT d.id AS draft, e.id, e.total, e.as_of,
               abs(e.as_of - (d.as_of - interval '1 year')::date) AS off,
               e.as_of BETWEEN (d.as_of - interval '1 year 10 days')::date
                           AND (d.as_of - interval '355 days')::date AS year_ago
        FROM draft d JOIN theirs e USING (customer_id, entity_id, currency, "group")
        WHERE NOT e.apart AND e.kind = 'invoice' AND e.state IN ('approved', 'issued') AND e.as_of <= d.as_of),
    previous AS (SELECT DISTINCT ON (draft) * FROM earlier ORDER BY draft, as_of DESC, id DESC),
    year AS (SELECT DISTINCT ON (draft) * FROM earlier WHERE year_ago ORDER BY draft, off, id DESC)
    SELECT d.id, p.id, p.total, y.id, y.total
    FROM draft d LEFT JOIN previous p ON p.draft = d.id LEFT JOIN year y ON y.draft = d.id
"""
# The customers' invoices are read on their own, by nothing but a list of customers: while a run fills a new book the
# planner knows nothing of invoices yet, and would read all of one seller's for each draft.


@dataclass(frozen=True, slots=True)
class Earlier:
    """The approved or issued invoice before a draft, and that of the same period last year, with their totals."""

    previous_id: int | None = None
    previous_total: Decimal | None = None
    year_id: int | None = None
    year_total: Decimal | None = None


class Span(NamedTuple):
    """Days (UTC), first and last included."""

    first: date
    last: date

    @property
    def before(self) -> date:
        """The first day of the time before, which is as long."""
        return self.first - (self.last - self.first) - timedelta(days=1)


class Part(NamedTuple):
    """A customer's lines on an invoice: how many correct earlier ones, and the days whose usage the others bill."""

    customer_id: int
    corrections: int
    span: Span | None

    @property
    def watched(self) -> tuple[int, date, date] | None:
        """The customer, and the days of the span with those of the time before; None where no usage is new."""
        return (self.customer_id, self.span.before, self.span.last) if self.span else None


class Draft(NamedTuple):
    """What review reads of a draft; who asked for its run, where somebody did."""

    pk: int
    customer_id: int
    total: Decimal
    updated_at: datetime
    apart: bool
    returned_reason: str
    asked_by: int | None


def drafts_of(invoice_ids: Collection[int]) -> list[Draft]:
    """Those that are open drafts, in order of their ids; one query."""
    drafts = Invoice.objects.filter(pk__among=invoice_ids, state=InvoiceState.DRAFT).order_by("pk")
    fields = ("pk", "customer_id", "total", "updated_at", "apart", "returned_reason", "run__requested_by_id")
    return [Draft(*row) for row in drafts.values_list(*fields)]


def earlier_of(drafts: Collection[Draft]) -> dict[int, Earlier]:
    """What to compare drafts with, of the same payer, group, seller and currency; corrections alone have nothing."""
    with connection.cursor() as cursor:
        cursor.execute(_EARLIER, [[each.pk for each in drafts], list({each.customer_id for each in drafts})])
        return {draft: Earlier(*rest) for draft, *rest in cursor.fetchall()}


class Line(NamedTuple):
    """What review reads of a line of an invoice."""

    invoice: int
    stream: int
    kind: str
    description: str
    amount: Decimal
    quantity: Decimal | None
    unit: str
    charge: int | None
    corrects: int | None
    start: datetime
    end: datetime
    agreed: str | None
    price: str | None


class Charged(NamedTuple):
    """A charge as reasons name it; the plan version that it is of, and that one's name."""

    name: str
    version: int | None
    version_name: str


def lines_of(invoice_ids: Collection[int]) -> dict[int, list[Line]]:
    """The lines of invoices in order, by invoice id; one query, and no model instances: a run reads very many."""
    lines = InvoiceLine.objects.filter(invoice__among=invoice_ids).order_by("invoice_id", "position")
    rows = lines.values_list(
        "invoice_id", "stream_id", "kind", "description", "amount", "quantity", "unit", "charge_id", "corrects_id",
        "service_start", "service_end", KeyTextTransform("quantity", "terms"), KeyTextTransform("amount", "terms"),
    )  # fmt: skip
    found: dict[int, list[Line]] = defaultdict(list)
    for row in rows:
        found[row[0]].append(Line(*row))
    return found


def charged(lines: Iterable[Line]) -> dict[int, Charged]:
    """The charges of lines by id; one query."""
    ids = {line.charge for line in lines if line.charge}
    charges = Charge.objects.filter(pk__among=ids).select_related("version__plan")
    return {each.pk: Charged(each.name, each.version_id, str(each.version or "")) for each in charges}


def item_of(line: Line, charges: Mapping[int, Charged]) -> Item:
    """A line as the rules compare it."""
    charge = charges[line.charge] if line.charge else None
    plain = line.kind in (InvoiceLine.Kind.USAGE, InvoiceLine.Kind.RECURRING)
    return Item(
        key=(line.stream, line.kind), name=charge.name if charge and plain else line.description, amount=line.amount,
        quantity=line.quantity if line.agreed is None else Decimal(line.agreed), unit=line.unit,
        metered=line.kind == InvoiceLine.Kind.USAGE, version=charge.version if charge else None,
        version_name=charge.version_name if charge else "", price=line.price or "", corrects=line.corrects is not None,
        days=-((line.start - line.end) // timedelta(days=1)),
    )  # fmt: skip


def items_of(invoice_ids: Collection[int]) -> dict[int, list[Item]]:
    """What invoices ask for, by invoice id; two queries."""
    lines = lines_of(invoice_ids)
    charges = charged(line for each in lines.values() for line in each)
    return defaultdict(list, {pk: [item_of(line, charges) for line in each] for pk, each in lines.items()})


def parts_of(invoice_ids: Collection[int]) -> dict[int, list[Part]]:
    """Whose lines stand on invoices, and what of usage is new there, by invoice id; one query."""
    new = Q(kind=InvoiceLine.Kind.USAGE, corrects=None)
    rows = (
        InvoiceLine.objects.filter(invoice__among=invoice_ids).order_by()
        .values_list("invoice_id", "stream__contract__customer_id")
        .annotate(start=Min("service_start", filter=new), end=Max("service_end", filter=new), n=Count("corrects"))
    )  # fmt: skip
    found: dict[int, list[Part]] = defaultdict(list)
    for invoice, customer, start, end, corrections in rows:
        span = start and Span(_day(start), _day(end - timedelta(microseconds=1)))
        found[invoice].append(Part(customer, corrections, span))
    return found


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()


def held_now(customer_ids: Collection[int]) -> dict[int, list[str]]:
    """What of these customers is held at present, as sentences; one query."""
    standing = Hold.objects.filter(contract__customer__among=customer_ids, released_at=None, ended_at=None)
    found: dict[int, list[str]] = defaultdict(list)
    for hold in standing.select_related("contract").order_by("id"):
        found[hold.contract.customer_id].append(f"{hold.contract} is held: {hold.sentence}")
    return found


def alerts_now(customer_ids: Collection[int]) -> dict[int, list[str]]:
    """Usage of these customers that stopped or jumped and is not as usual again; one query."""
    standing = UsageAlert.objects.filter(customer__among=customer_ids, closed_at=None, acknowledged_at=None)
    found: dict[int, list[str]] = defaultdict(list)
    for alert in standing.select_related("meter").order_by("id"):
        if alert.customer_id:
            found[alert.customer_id].append(f"{alert.get_kind_display()}: {alert.meter}, since {alert.since:%Y-%m-%d}")
    return found


def preparations_of(invoice_ids: Iterable[int]) -> dict[int, list[Preparation]]:
    """Who prepared invoices, by invoice id; one query."""
    found: dict[int, list[Preparation]] = defaultdict(list)
    for each in Preparation.objects.filter(invoice__among=list(invoice_ids)).select_related("user").order_by("id"):
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
