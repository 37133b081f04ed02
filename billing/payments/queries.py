"""What stands on invoices: paid, open, and the standing that follows. Derived, never stored (R5.1)."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

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
from billing.payments.models import Allocation

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


class Amounts(TypedDict):
    """What `with_standing` adds to an invoice."""

    paid: Decimal
    open: Decimal | None
    standing: str | None


def with_standing(
    queryset: QuerySet[Invoice], today: date
) -> "QuerySet[WithAnnotations[Invoice, Amounts], WithAnnotations[Invoice, Amounts]]":
    """The invoices with `paid`, `open` and `standing`, in one query, ready to filter and order by.

    `paid` is the sum of allocations in the invoice's currency, 0 where there is none; `open` is total − paid; an
    invoice that is not issued has neither `open` nor `standing` (None). A credit note is an open credit of its
    customer: its `open` is negative. An invoice is overdue from the day after its due date;
    `today` is a day in the seller's zone.
    """
    allocated = (
        Allocation.objects.filter(invoice=OuterRef("pk")).order_by().values("invoice").annotate(sum=Sum("amount"))
    )
    issued = Q(state=InvoiceState.ISSUED)
    return queryset.annotate(
        paid=Coalesce(Subquery(allocated.values("sum"), output_field=_MONEY), Value(Decimal(0)), output_field=_MONEY),
        open=Case(When(issued, then=F("total") - F("paid")), output_field=_MONEY),
        standing=Case(
            When(~issued, then=Value(None)),
            When(kind=Invoice.Kind.CREDIT_NOTE, then=Value(Standing.CREDIT)),
            When(open__lte=0, then=Value(Standing.PAID)),
            When(due_date__lt=today, then=Value(Standing.OVERDUE)),
            When(paid__gt=0, then=Value(Standing.PARTIALLY_PAID)),
            default=Value(Standing.OPEN),
            output_field=CharField(null=True),
        ),
    )


def open_amount(invoice: Invoice) -> Decimal:
    """What is still to be paid of an issued invoice, in its currency; call it with the row locked to rely on it."""
    paid = Allocation.objects.filter(invoice=invoice).aggregate(sum=Sum("amount"))["sum"]
    return invoice.total - (paid or Decimal(0))
