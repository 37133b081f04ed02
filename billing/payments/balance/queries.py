"""Reads of customer balances."""

from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING, TypedDict

from django.db.models import DecimalField, OuterRef, QuerySet, Subquery, Sum, Value
from django.db.models.functions import Coalesce

from billing.invoicing.concessions.models import Way
from billing.invoicing.concessions.queries import credits_of
from billing.invoicing.models import MONEY, Invoice
from billing.invoicing.states import InvoiceState
from billing.payments.balance.models import BalanceAccount, BalanceEntry

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations


class Balance(TypedDict):
    """What `with_balance` adds to an account."""

    balance: Decimal


def with_balance(queryset: QuerySet[BalanceAccount]) -> "QuerySet[WithAnnotations[BalanceAccount, Balance]]":
    """The accounts with their `balance`, in one query, ready to filter and order by."""
    places = {"max_digits": MONEY["max_digits"], "decimal_places": MONEY["decimal_places"]}
    field: DecimalField[Decimal, Decimal] = DecimalField(**places)
    last = BalanceEntry.objects.filter(account=OuterRef("pk")).order_by("-number").values("balance")[:1]
    return queryset.annotate(balance=Coalesce(Subquery(last), Value(Decimal(0)), output_field=field))


def balance_of(account: BalanceAccount) -> Decimal:
    """Σ entries, in the account's currency; hold the customer's lock to rely on it."""
    total = BalanceEntry.objects.filter(account=account).aggregate(sum=Sum("amount"))["sum"]
    return total or Decimal(0)


def balance_for(invoice: Invoice) -> Decimal:
    """What the payer of an invoice has with its seller in its currency."""
    place = {"account__customer": invoice.customer_id, "account__entity": invoice.entity_id}
    total = BalanceEntry.objects.filter(**place, account__currency=invoice.currency).aggregate(sum=Sum("amount"))["sum"]
    return total or Decimal(0)


def uncredited_notes(invoice: Invoice) -> QuerySet[Invoice]:
    """Issued credit notes of the payer, seller and currency of an invoice that its balance lacks, oldest first."""
    return Invoice.objects.filter(
        customer=invoice.customer_id, entity=invoice.entity_id, currency=invoice.currency,
        kind=Invoice.Kind.CREDIT_NOTE, state=InvoiceState.ISSUED, balance_entries__isnull=True,
    ).order_by("issue_date", "sequence")  # fmt: skip


def customers_with(customer_ids: Collection[int]) -> set[int]:
    """Those of these customers that have, or ever had, a balance, or a credit note that it lacks; two queries."""
    accounts = BalanceAccount.objects.filter(customer__in=customer_ids).values_list("customer", flat=True)
    notes = Invoice.objects.filter(
        customer__in=customer_ids,
        kind=Invoice.Kind.CREDIT_NOTE,
        state=InvoiceState.ISSUED,
        balance_entries__isnull=True,
    )
    return {*accounts, *notes.order_by().values_list("customer", flat=True)}


def credited_invoices(note: Invoice) -> QuerySet[Invoice]:
    """The invoices of the same place whose lines a credit note corrects, oldest first."""
    return (
        Invoice.objects.filter(
            lines__corrections__invoice=note, kind=Invoice.Kind.INVOICE, state=InvoiceState.ISSUED,
            customer=note.customer_id, entity=note.entity_id, currency=note.currency,
        )
        .distinct()
        .order_by("issue_date", "sequence")
    )  # fmt: skip


def way_of(note: Invoice) -> str:
    """What was chosen for the credit of a note beyond what is open; balance where its credits differ, or none was."""
    ways = {each.way for each in credits_of(note.lines.values_list("terms", flat=True))}
    return ways.pop() if len(ways) == 1 else Way.BALANCE
