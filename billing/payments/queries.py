"""What stands on invoices: paid, open, and the standing that follows. Derived, never stored (R5.1)."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from django.db.models import (
    Case,
    CharField,
    DecimalField,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    TextChoices,
    Value,
    When,
)
from django.db.models.functions import Coalesce

from billing.invoicing.models import MONEY, Invoice
from billing.invoicing.states import InvoiceState
from billing.payments.balance.models import BalanceEntry
from billing.payments.models import Allocation
from billing.payments.writeoffs.models import WriteOff

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

_MONEY: "DecimalField[Decimal, Decimal]" = DecimalField(
    max_digits=MONEY["max_digits"], decimal_places=MONEY["decimal_places"]
)


class Standing(TextChoices):
    """Where an issued invoice stands with its customer; one that is overdue is so however much of it is paid."""

    OPEN = "open", "Open"
    PARTIALLY_PAID = "partially_paid", "Partially paid"
    PAID = "paid", "Paid"
    OVERDUE = "overdue", "Overdue"
    CREDIT = "credit", "Open credit"
    SETTLED = "settled", "Credited"
    UNCOLLECTIBLE = "uncollectible", "Written off"


class Amounts(TypedDict):
    """What `with_standing` adds to an invoice."""

    paid: Decimal
    credited: Decimal
    written_off: Decimal
    open: Decimal | None
    standing: str | None


def with_standing(
    queryset: QuerySet[Invoice], today: date
) -> "QuerySet[WithAnnotations[Invoice, Amounts], WithAnnotations[Invoice, Amounts]]":
    """The invoices with `paid`, `open` and `standing`, in one query, ready to filter and order by.

    `paid` is the sum of allocations in the invoice's currency, 0 where there is none; `credited` is what the customer's
    balance settled, `written_off` what was given up; `open` is total less these; an invoice that is not issued has
    neither `open` nor `standing` (None). A credit note that is no balance yet is an open credit of its customer: its
    `open` is negative; what became balance of one is its `credited`, negative too. An invoice is overdue from the day
    after its due date; `today` is a day in the seller's zone.
    """
    issued = Q(state=InvoiceState.ISSUED)
    return queryset.annotate(
        paid=_sum_of(Allocation.objects.all()),
        credited=Value(Decimal(0)) - _sum_of(BalanceEntry.objects.all()),
        written_off=_sum_of(WriteOff.objects.filter(state=WriteOff.State.BOOKED)),
        open=Case(When(issued, then=F("total") - F("paid") - F("credited") - F("written_off")), output_field=_MONEY),
        standing=Case(
            When(~issued, then=Value(None)),
            When(kind=Invoice.Kind.CREDIT_NOTE, open__lt=0, then=Value(Standing.CREDIT)),
            When(kind=Invoice.Kind.CREDIT_NOTE, then=Value(Standing.SETTLED)),
            When(open__lte=0, written_off__gt=0, then=Value(Standing.UNCOLLECTIBLE)),
            When(open__lte=0, then=Value(Standing.PAID)),
            When(due_date__lt=today, then=Value(Standing.OVERDUE)),
            When(open__lt=F("total"), then=Value(Standing.PARTIALLY_PAID)),
            default=Value(Standing.OPEN),
            output_field=CharField(null=True),
        ),
    )


def open_amount(invoice: Invoice) -> Decimal:
    """What is still to be paid of an issued invoice, in its currency; call it with the row locked to rely on it."""
    found: Decimal = (
        Invoice.objects.filter(pk=invoice.pk)
        .annotate(
            left=F("total") - _sum_of(Allocation.objects.all()) + _sum_of(BalanceEntry.objects.all())
            - _sum_of(WriteOff.objects.filter(state=WriteOff.State.BOOKED))
        )
        .values_list("left", flat=True)
        .get()
    )  # fmt: skip
    return found


def _sum_of(rows: QuerySet[Any]) -> Coalesce:
    """The amounts of rows that name the invoice at hand, 0 where there are none."""
    sums = rows.filter(invoice=OuterRef("pk")).order_by().values("invoice").annotate(sum=Sum("amount")).values("sum")
    return Coalesce(Subquery(sums, output_field=_MONEY), Value(Decimal(0)), output_field=_MONEY)
