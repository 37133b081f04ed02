"""How the demo's customers pay: most in full and on time, some late, some in part, a few not at all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

from django.contrib.auth.models import User

from billing.invoicing.models import Invoice
from billing.money import round_money
from billing.payments.models import Payment
from billing.payments.services import record_payment
from config import clock
from config.demo.story import Story

PARTS = [Decimal("0.4"), Decimal("0.5"), Decimal("0.75")]
SLOW = {"C-marrowstreet", "C-parola", "C-sumire"}  # customers who pay weeks after the due date, if they do


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that comes in for an invoice on a day."""

    invoice_id: int
    contract: str
    received_on: date
    amount: Decimal
    reference: str


def receive(story: Story, index: int, user: User) -> int:
    """Record what comes in during a month, by day, up to the story's present; what is recorded already is left out."""
    issued = Invoice.objects.filter(state="issued", total__gt=0).select_related("contract", "customer").order_by("id")
    planned = [receipt for invoice in issued for receipt in _receipts(story, invoice)]
    planned = [
        each for each in planned if story.index_of(each.received_on) == index and each.received_on < story.now.date()
    ]
    known = set(
        Payment.objects.filter(reference__in=[each.reference for each in planned]).values_list("reference", flat=True)
    )
    due = sorted((each for each in planned if each.reference not in known), key=lambda each: each.received_on)
    for receipt in due:
        with clock.set_to(story.at(receipt.received_on, 18)):
            record_payment(
                invoice_id=receipt.invoice_id, amount=receipt.amount, received_on=receipt.received_on,
                reference=receipt.reference, user=user, now=clock.now(),
            )  # fmt: skip
    return len(due)


def _receipts(story: Story, invoice: Invoice) -> Iterator[Receipt]:
    """How an invoice is paid, the same each time it is asked."""
    assert invoice.issue_date is not None  # it is issued
    assert invoice.due_date is not None
    whose = str(invoice.contract or invoice.customer.external_id)
    random = Random(f"{story.seed}/{whose}/{invoice.as_of}")  # noqa: S311
    slow = whose in SLOW
    manner = random.random() - (0.35 if slow else 0)
    days = (invoice.due_date - invoice.issue_date).days
    on_time = invoice.issue_date + timedelta(days=random.randrange(4, days + 1))
    late = invoice.due_date + timedelta(days=random.randrange(2, 40 if slow else 24))
    part = round_money(invoice.total * random.choice(PARTS), invoice.currency)

    def receipt(day: date, amount: Decimal, place: int) -> Receipt:
        return Receipt(invoice.pk, whose, day, amount, f"{invoice.number}/{place}")

    if manner > 0.17:
        yield receipt(_working(on_time), invoice.total, 1)
    elif manner > 0.05:
        yield receipt(_working(late), invoice.total, 1)
    elif manner > 0.01 and 0 < part < invoice.total:
        yield receipt(_working(invoice.due_date), part, 1)
        if manner > 0.025:  # the rest comes later, or is argued about still
            yield receipt(_working(late + timedelta(days=12)), invoice.total - part, 2)
    elif manner < -0.2 and slow:
        yield receipt(_working(late + timedelta(days=20)), invoice.total, 1)


def _working(day: date) -> date:
    """The day, or the Monday after it: banks rest at weekends."""
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)
