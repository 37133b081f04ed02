"""Many issued invoices for benchmarks of lists, made as sets: totals alone, of months before the contracts' first."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db import connection, transaction

from billing.invoicing.copying import copy_rows
from billing.invoicing.models import Invoice, NumberSeries
from billing.invoicing.snapshots import buyer_snapshot, seller_snapshot, terms_snapshot
from billing.invoicing.states import InvoiceState
from customers.models import Contract

BATCH: Final = 20_000


def make_invoices(count: int, now: datetime) -> int:
    """So many issued invoices, one a contract and month, the same for the same numbers; how many.

    They have no lines, and go to no books. Past the guards of the database, which are put back.
    """
    contracts = list(Contract.objects.select_related("customer", "entity").order_by("id"))
    if not contracts:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE billing_invoice DISABLE TRIGGER USER")
        for start in range(0, count, BATCH):
            copy_rows(Invoice, _invoices(contracts, range(start, min(start + BATCH, count)), now))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # no trigger may wait while the table is altered
        cursor.execute("ALTER TABLE billing_invoice ENABLE TRIGGER USER")
        series, _ = NumberSeries.objects.get_or_create(entity=contracts[0].entity, name=Invoice.Kind.INVOICE)
        series.last_number = count
        series.save(update_fields=["last_number"])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) billing_invoice")
    return count


def _invoices(contracts: Sequence[Contract], numbers: range, now: datetime) -> Iterator[Invoice]:
    first = min(each.start for each in contracts)
    copies = {}
    for number in numbers:
        contract = contracts[number % len(contracts)]
        day = _month_before(first, 1 + number // len(contracts) % 120)
        if contract.pk not in copies:
            copies[contract.pk] = (
                seller_snapshot(contract.entity), buyer_snapshot(contract.customer), terms_snapshot([contract])
            )  # fmt: skip
        seller, buyer, terms = copies[contract.pk]
        total = Decimal(number * 7919 % 90_000 + 1_000) / 100
        yield Invoice(
            customer=contract.customer, contract=contract, group=contract.invoice_group, entity=contract.entity,
            currency=contract.currency, as_of=day, issue_date=day, due_date=day + timedelta(days=contract.net_days),
            number=f"SCALE-{number + 1:09d}", sequence=number + 1, net=total, total=total, seller=seller, buyer=buyer,
            terms=terms, state=InvoiceState.ISSUED, created_at=now, updated_at=now, approved_at=now, issued_at=now,
        )  # fmt: skip


def _month_before(day: date, months: int) -> date:
    """The first of the month so many months before a day's."""
    place = day.year * 12 + day.month - 1 - months
    return date(place // 12, place % 12 + 1, 1)
