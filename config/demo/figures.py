"""What the demo holds, in figures, as it prints them at the end."""

import resource
from collections.abc import Iterator
from decimal import Decimal

from django.db import connection
from django.db.models import Count, Sum

from billing.invoicing.models import Invoice
from billing.invoicing.states import NUMBERED
from billing.money import round_money
from billing.payments.models import Payment
from config.demo.progress import Progress
from customers.models import Contract, Customer
from revenue.ledger.models import AccountingPeriod, JournalEntry
from revenue.reports.ties import ties


def times(progress: Progress, seconds: float) -> Iterator[str]:
    """How long this run took, phase by phase, and how fast events went in."""
    yield ", ".join(f"{name} {took:.1f} s" for name, took in progress.took.items())
    sent = progress.done["usage"]
    speed = f"; {sent:,} events at {sent / progress.took['usage']:,.0f} a second" if sent else ""
    yield f"{seconds:.0f} s in all, {peak_memory()} of memory at most in this process{speed}"


def holdings() -> Iterator[str]:
    """What the database holds: one line a fact, in the order in which money is made."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), min(ts), max(ts) FROM metering_event")
        events, first, last = cursor.fetchone()
    yield f"{Customer.objects.count()} customers, {Contract.objects.count()} contracts"
    yield f"{events:,} usage events from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
    issued = Invoice.objects.filter(state__in=NUMBERED)
    received = dict(Payment.objects.values_list("currency").annotate(Sum("amount")).order_by())
    totals = issued.values_list("currency").annotate(Count("id"), Sum("total")).order_by("currency")
    for currency, count, total in totals:
        paid = round_money(received.get(currency, Decimal(0)), currency)
        yield f"{count} invoices issued, {currency} {round_money(total, currency):,}; received {currency} {paid:,}"
    yield f"{Invoice.objects.filter(state='draft').count()} drafts to review"
    closed = AccountingPeriod.objects.filter(state=AccountingPeriod.State.CLOSED)
    yield f"{JournalEntry.objects.count():,} journal entries; {closed.count()} accounting periods closed"
    rows = ties().rows
    broken = [row for row in rows if row.difference]
    yield f"{len(rows)} ties between billing and the ledger hold" if not broken else f"{len(broken)} ties do NOT hold"


def peak_memory() -> str:
    """The most memory that this process held."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB"
