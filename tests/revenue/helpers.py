"""What the tests of the books share."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import F, Sum

from billing.invoicing.models import Invoice, Outbox
from billing.invoicing.services import approve, issue, run_billing
from billing.payments.models import Allocation, Payment
from customers.models import Contract, LegalEntity
from revenue.ledger.models import AccountingPeriod, JournalEntry, JournalLine
from tests.factories import fee, make_contract, make_subscription, make_version, send_events, usage

D = Decimal


def at(text: str) -> datetime:
    """An instant in UTC, e.g. at("2023-12-01") or at("2023-12-01T08:00")."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def make_seller(**fields: Any) -> Contract:
    """A contract from 1 November 2023 with a fee of USD 90.00 a month in advance and tokens at USD 0.01 in arrears."""
    contract = make_contract(**fields)
    version = make_version(fee(amount="90.00"), usage(), plan=f"plan-{contract.pk}", currencies=[contract.currency])
    make_subscription(contract, version)
    return contract


def use(contract: Contract, day: str, tokens: int, *, now: str | None = None) -> None:
    """Tokens used by the contract's customer on a day, reported then or at `now`."""
    subject = contract.customer.external_id
    when = at(now) if now else at(f"{day}T23:00")
    send_events(subject=subject, time=f"{day}T12:00:00Z", data={"tokens": tokens}, now=when)


def invoice(contract: Contract, as_of: str, now: str | None = None) -> Invoice:
    """What fell due up to a day, issued on that day or at `now`."""
    when = at(now or as_of)
    run_billing(as_of=date.fromisoformat(as_of), now=when, contract_ids=[contract.pk])
    ids = [Invoice.objects.get(contract=contract, state="draft").pk]
    assert not approve(invoice_ids=ids, user=None, now=when).skipped
    (issued,) = issue(invoice_ids=ids, user=None, now=when).done
    return issued


def pay(invoice: Invoice, amount: str, on: str, *, received: str | None = None) -> Payment:
    """A payment that settles `amount` of an invoice; more than that may have been received."""
    payment = Payment.objects.create(
        customer_id=invoice.customer_id, entity_id=invoice.entity_id, currency=invoice.currency, reference="wire 7",
        amount=D(received or amount), received_on=date.fromisoformat(on), recorded_at=at(on),
    )  # fmt: skip
    Allocation.objects.create(payment=payment, invoice=invoice, amount=D(amount))
    Outbox.objects.create(kind=Outbox.Kind.PAYMENT_RECORDED, object_id=payment.pk, created_at=at(on))
    return payment


def sides(entry: JournalEntry) -> list[tuple[str, Decimal]]:
    """Account and amount of each line, debits positive."""
    return list(entry.lines.order_by("id").annotate(net=F("debit") - F("credit")).values_list("account__code", "net"))


def posted(event: str) -> list[JournalEntry]:
    """The entries of an event, in the order of their numbers."""
    return list(JournalEntry.objects.filter(event=event).order_by("entity", "number"))


def balance(account: str, entity: LegalEntity | None = None, month: str | None = None) -> Decimal:
    """Debits less credits of an account, over all posting months or in one."""
    lines = JournalLine.objects.filter(account__code=account)
    if entity:
        lines = lines.filter(entry__entity=entity)
    if month:
        lines = lines.filter(entry__period__month=date.fromisoformat(f"{month}-01"))
    return lines.aggregate(net=Sum(F("debit") - F("credit")))["net"] or D(0)


def close_by_hand(entity: LegalEntity, month: str) -> AccountingPeriod:
    """A month closed without the service's questions, for tests of what a closed month does to others."""
    period, _ = AccountingPeriod.objects.get_or_create(entity=entity, month=date.fromisoformat(f"{month}-01"))
    period.state, period.closed_at = AccountingPeriod.State.CLOSED, at("2024-06-01")
    period.save()
    return period


def numbers_are_gapless() -> bool:
    """Whether each entity's entries are numbered 1, 2, 3 and so on."""
    given: dict[int, list[int]] = {}
    for entity, number in JournalEntry.objects.order_by("entity", "number").values_list("entity", "number"):
        given.setdefault(entity, []).append(number)
    return all(numbers == list(range(1, len(numbers) + 1)) for numbers in given.values())


def sql(statement: str, parameters: Sequence[Any] = ()) -> None:
    """Run a statement as somebody with psql would."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
