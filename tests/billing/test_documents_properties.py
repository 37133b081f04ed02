"""What holds of documents, taxes and balances whatever happens: late usage, credits, voids, money, refunds."""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.catalog.models import Product
from billing.invoicing.concessions.services import credit
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue
from billing.invoicing.states import NUMBERED
from billing.invoicing.taxes.services import set_tax_code
from billing.invoicing.voiding.services import void
from billing.money import round_money
from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.balance.queries import with_balance
from billing.payments.balance.services import apply_balance, refund
from billing.payments.errors import PaymentsError
from billing.payments.models import Allocation
from billing.payments.queries import with_standing
from billing.payments.services import record_payment
from customers.models import Contract
from revenue.ledger.services import post_documents
from revenue.reports.ties import ties
from tests.billing.invoicing.test_taxes import EVER, rate, taxed
from tests.factories import bill, fee, make_contract, make_subscription, make_version, send_events, usage

pytestmark = pytest.mark.django_db
MONTHS = [date(2023, 12, 1), date(2024, 1, 1), date(2024, 2, 1)]
# A history takes a second: four by default, a hundred and more with HYPOTHESIS_PROFILE=deep.
FEW = settings(
    max_examples=max(4, settings.default.max_examples // 8), deadline=None, suppress_health_check=list(HealthCheck)
)
SHARE = st.integers(1, 100)
WHICH = st.integers(0, 5)
acts = st.one_of(
    st.tuples(st.just("use"), WHICH, st.integers(1, 3000)),
    st.tuples(st.just("credit"), WHICH, SHARE),
    st.tuples(st.just("void"), WHICH, st.booleans()),
    st.tuples(st.just("pay"), WHICH, st.integers(1, 150)),
    st.tuples(st.just("refund"), WHICH, SHARE),
    st.tuples(st.just("use_balance"), WHICH, SHARE),
)
histories = st.lists(st.lists(acts, min_size=1, max_size=4), min_size=len(MONTHS), max_size=len(MONTHS))
"""What happens before each run of billing."""


def start(currency: str, rounding: str) -> Contract:
    """A seller that taxes, and a contract with a fee and usage at 19 %, and support at a rate of its own."""
    taxed(rounding=rounding)
    rate("19")
    rate("7", "de-low", category="low")
    contract = make_contract(currency=currency, start=date(2023, 11, 1))
    for product, charges in (("api", [fee(amount="99.99"), usage()]), ("help", [fee("support", "33.33")])):
        version = make_version(*charges, product=product, plan=product, currencies=[currency])
        make_subscription(contract, version, code=product)
    set_tax_code(product=Product.objects.get(code="help"), category="low", start=EVER, reason="Law.", now=at(MONTHS[0]))
    return contract


def at(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 9, tzinfo=UTC)


def part_of(amount: Decimal, share: int, currency: str) -> Decimal:
    return round_money(Fraction(amount) * share / 100, currency)


def issue_all(now: datetime) -> None:
    ids = list(Invoice.objects.filter(state__in=("draft", "approved")).values_list("pk", flat=True))
    approve(invoice_ids=ids, user=None, now=now)
    issue(invoice_ids=ids, user=None, now=now)


def act(contract: Contract, what: str, which: int, how: Any, now: datetime) -> None:
    """Do one thing to one of the invoices issued so far, if there is any."""
    invoices = list(Invoice.objects.filter(kind="invoice", state="issued").order_by("pk"))
    if what == "use":
        day = f"2023-{11 + which % 2}-{10 + which}T00:00:00Z"
        send_events(subject=contract.customer.external_id, time=day, data={"tokens": how}, now=now)
    elif what == "refund":
        for account in with_balance(BalanceAccount.objects.all()):
            amount = part_of(account.balance, how, account.currency)
            refund(account_id=account.pk, amount=amount, reason="wire", user=None, now=now)
    elif invoices:
        act_on(invoices[which % len(invoices)], what, how, now)


def act_on(invoice: Invoice, what: str, how: Any, now: datetime) -> None:
    if what == "credit":
        line = list(invoice.lines.order_by("position"))[how % invoice.lines.count()]
        amounts = {line.pk: part_of(line.amount, how, invoice.currency)} if how < 90 else None
        credit(invoice_id=invoice.pk, amounts=amounts, reason="Goodwill", user=None, now=now)
        issue_all(now)
    elif what == "void":
        void(invoice_id=invoice.pk, bill_again=how, reason="Wrong", user=None, now=now)
    elif what == "pay":
        amount = part_of(invoice.total, how, invoice.currency)
        record_payment(
            invoice_id=invoice.pk, amount=amount, received_on=now.date(), reference="", user=None, now=now,
            keep_over=True,
        )  # fmt: skip
    else:
        apply_balance(invoice_id=invoice.pk, user=None, now=now)


def documents_tie(rounding: str) -> None:
    """Total = net + tax, of lines and of each rate; what is rounded once per rate is the rate of its net (R5.6)."""
    for invoice in Invoice.objects.exclude(state="draft").prefetch_related("lines", "taxes"):
        lines, taxes = list(invoice.lines.all()), list(invoice.taxes.all())
        assert invoice.net == sum((line.amount for line in lines), Decimal(0))
        assert (
            invoice.tax
            == sum((line.tax for line in lines), Decimal(0))
            == sum((each.tax for each in taxes), Decimal(0))
        )
        assert invoice.total == invoice.net + invoice.tax
        for each in taxes:
            rows = [(line, row) for line in lines for row in line.taxes if row["code"] == each.code]
            assert each.net == sum((line.amount for line, _ in rows), Decimal(0))
            assert each.tax == sum((Decimal(row["tax"]) for _, row in rows), Decimal(0))
            if rounding == "document" and not any(line.corrects_id for line in lines):
                assert each.tax == round_money(Fraction(each.net) * Fraction(each.percentage) / 100, invoice.currency)


def notes_mirror() -> None:
    """Of what nothing is left, no tax is left either, and what is left never has another sign (R5.3)."""
    left: dict[Any, list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
    for invoice in Invoice.objects.filter(state__in=NUMBERED).prefetch_related("lines__corrects"):
        for line in invoice.lines.all():
            key = ("slot", line.slot_id) if line.slot_id else ("fee", line.corrects_id or line.pk)
            left[key][0] += line.amount
            left[key][1] += line.tax
    for net, tax in left.values():
        assert net * tax >= 0
        assert net or not tax


def money_ties(currency: str) -> None:
    """A balance is Σ its entries and never below zero; nothing is settled beyond its total; the books agree."""
    for account in with_balance(BalanceAccount.objects.all()):
        total = Decimal(0)
        for entry in BalanceEntry.objects.filter(account=account).order_by("number"):
            total += entry.amount
            assert entry.balance == total >= 0
        assert account.balance == total
    for invoice in with_standing(Invoice.objects.filter(kind="invoice", state="issued"), MONTHS[-1]):
        assert invoice.open is not None
        assert 0 <= invoice.open <= invoice.total
        allocated = Allocation.objects.filter(invoice=invoice).aggregate(sum=Sum("amount"))["sum"] or Decimal(0)
        assert allocated == invoice.paid <= invoice.total


@given(
    history=histories, currency=st.sampled_from(["USD", "JPY", "KWD"]), rounding=st.sampled_from(["document", "line"])
)
@FEW
def test_documents_balances_and_books_tie_whatever_happens(
    history: Sequence[Sequence[tuple[str, int, Any]]], currency: str, rounding: str
) -> None:
    with transaction.atomic():
        contract = start(currency, rounding)
        bill("2023-11-01", contract, now=at(MONTHS[0]))
        issue_all(at(MONTHS[0]))
        for month, things in zip(MONTHS, history, strict=True):
            now = at(month)
            for what, which, how in things:
                with suppress(InvoicingError, PaymentsError), transaction.atomic():  # refused, with a sentence
                    act(contract, what, which, how, now)
            bill(month.isoformat(), contract, now=now)
            issue_all(now)
            connection.check_constraints()
            documents_tie(rounding)
            notes_mirror()
            money_ties(currency)
            post_documents(now=now)
            assert ties().hold, [row for row in ties().rows if row.difference]
        transaction.set_rollback(True)
