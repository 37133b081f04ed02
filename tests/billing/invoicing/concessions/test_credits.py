"""Credits that were conceded: facts that no run and no check takes back, never above what is left."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from billing.invoicing.concessions.errors import BadCredit, TooMuch
from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.concessions.queries import rest_of
from billing.invoicing.concessions.rules import capped
from billing.invoicing.concessions.services import credit, share, take_back
from billing.invoicing.models import Invoice, InvoiceLine
from billing.invoicing.services import approve, issue, run_billing
from billing.verification.services import verify
from customers.models import LegalEntity
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
from tests.factories import (
    NOW,
    amounts,
    bill,
    fee,
    make_contract,
    make_subscription,
    make_version,
    send_events,
    usage,
)

WHO: dict[str, Any] = {"reason": "Two days of outage", "user": None, "now": NOW}
needs_database = pytest.mark.django_db


def issued() -> Invoice:
    """Platform at USD 100.00 a month in advance, and 1,000 tokens at USD 0.01, issued as of December."""
    made = make_contract()
    make_subscription(made, make_version(fee(), usage()))
    send_events(subject=made.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": 1000})
    (invoice,) = bill("2023-12-01")
    return finish(invoice)


def finish(invoice: Invoice) -> Invoice:
    """Approve and issue it; it is equal to its facts."""
    for act in (approve, issue):
        result = act(invoice_ids=[invoice.pk], user=None, now=NOW)
        assert not result.skipped, result.skipped
    equal()
    return Invoice.objects.get(pk=invoice.pk)


def equal() -> None:
    """Every recorded invoice equals what the facts say."""
    ids = list(Invoice.objects.exclude(state="draft").values_list("pk", flat=True))
    assert {(each.result, tuple(each.reasons)) for each in verify(invoice_ids=ids)} == {("equal", ())}


def largest(invoice: Invoice) -> InvoiceLine:
    return invoice.lines.order_by("-amount")[0]


def tokens(invoice: Invoice) -> InvoiceLine:
    return invoice.lines.get(kind="usage")


def draft() -> Invoice:
    return Invoice.objects.get(state="draft")


@needs_database
def test_a_part_of_a_fee_and_of_usage_is_credited_by_a_note_that_no_run_takes_back() -> None:
    invoice = issued()
    fee_line, used = largest(invoice), tokens(invoice)
    credit(invoice_id=invoice.pk, amounts={fee_line.pk: Decimal("6.66"), used.pk: Decimal("2.50")}, **WHO)
    note = draft()
    assert (note.kind, note.apart, note.total) == ("credit_note", True, Decimal("-9.16"))
    assert {line.corrects_id for line in note.lines.all()} == {fee_line.pk, used.pk}
    run_billing(as_of=date(2023, 12, 1), now=NOW, full=True)
    assert draft().total == Decimal("-9.16")
    done = finish(note)
    assert str(done.number).startswith(done.entity.credit_prefix)
    run_billing(as_of=date(2023, 12, 1), now=NOW, full=True)
    assert not Invoice.objects.filter(state="draft").exists()
    post_documents(now=NOW)
    assert ties().hold


@needs_database
def test_a_whole_invoice_is_credited_to_nothing_and_not_again() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts=None, **WHO)
    assert finish(draft()).net == -invoice.net
    with pytest.raises(BadCredit, match="is left to credit"):
        credit(invoice_id=invoice.pk, amounts=None, **WHO)


@needs_database
def test_above_what_a_line_stands_for_is_refused_with_the_rest_by_the_service_and_by_the_database() -> None:
    invoice = issued()
    line = tokens(invoice)
    credit(invoice_id=invoice.pk, amounts={line.pk: Decimal("7.00")}, **WHO)
    with pytest.raises(TooMuch, match=r"stands for USD 3\.00"):
        credit(invoice_id=invoice.pk, amounts={line.pk: Decimal("3.01")}, **WHO)
    fresh = Adjustment(
        contract=line.stream.contract, line=line, amount=Decimal("3.01"), reason="Again", recorded_at=NOW
    )
    with pytest.raises(IntegrityError, match="exceed what it stands for"), transaction.atomic():
        fresh.save()
    assert rest_of([line]) == {line.pk: Decimal("3.00")}


@needs_database
@pytest.mark.parametrize(("amount", "said"), [("0", "cannot be credited"), ("1.001", "cannot be"), ("-1", "stands")])
def test_what_is_no_amount_of_the_currency_is_refused(amount: str, said: str) -> None:
    invoice = issued()
    with pytest.raises((BadCredit, TooMuch), match=said):
        credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal(amount)}, **WHO)
    assert not Adjustment.objects.exists()


@needs_database
def test_a_credit_needs_a_reason_and_an_issued_invoice() -> None:
    invoice = issued()
    with pytest.raises(BadCredit, match="Say why"):
        credit(invoice_id=invoice.pk, amounts=None, reason=" ", user=None, now=NOW)
    credit(invoice_id=invoice.pk, amounts=None, **WHO)
    with pytest.raises(BadCredit, match="Only an issued invoice"):
        credit(invoice_id=draft().pk, amounts=None, **WHO)


@needs_database
def test_usage_that_is_taken_back_later_is_not_credited_twice() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal("4.00")}, **WHO)
    finish(draft())
    send_events(subject=invoice.customer.external_id, time="2023-11-11T00:00:00Z", data={"tokens": -900})
    run_billing(as_of=date(2023, 12, 1), now=NOW, full=True)
    total = sum(each.net for each in Invoice.objects.all())
    assert total == invoice.net - Decimal("10.00")  # 100 tokens are left, and all of them stay conceded


@needs_database
def test_credits_of_a_draft_are_taken_back_with_a_reason() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts=None, **WHO)
    take_back(invoice_id=draft().pk, reason="The wrong invoice", user=None, now=NOW)
    assert not Invoice.objects.filter(state="draft").exists()
    assert rest_of([tokens(invoice)])[tokens(invoice).pk] == Decimal("10.00")


@needs_database
def test_a_credit_that_somebody_asked_for_is_a_note_also_where_other_credits_wait() -> None:
    invoice = issued()
    LegalEntity.objects.update(negative=LegalEntity.Negative.NEXT_INVOICE)
    credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal("4.00")}, **WHO)
    assert finish(draft()).total == Decimal("-4.00")


@needs_database
def test_the_same_credit_asked_for_in_a_second_tab_is_not_given_twice() -> None:
    invoice = issued()
    asked: dict[str, Any] = {"invoice_id": invoice.pk, "amounts": {tokens(invoice).pk: Decimal("2.00")}, "user": None}
    credit(reason="Outage", now=NOW, **asked)
    with pytest.raises(BadCredit, match="credited so just now"):
        credit(reason="Outage", now=NOW + timedelta(seconds=20), **asked)
    credit(reason="Another outage", now=NOW, **asked)
    credit(reason="Outage", now=NOW + timedelta(minutes=2), **asked)
    assert draft().net == Decimal("-6.00")


@needs_database
def test_a_part_of_a_quantity_is_its_share_of_the_amount() -> None:
    line = tokens(issued())
    assert share(line=line, quantity=Decimal(333), currency="USD") == Decimal("3.33")
    with pytest.raises(BadCredit, match="up to that"):
        share(line=line, quantity=Decimal(1001), currency="USD")
    assert amounts(line.invoice)


@given(st.integers(-50, 50), st.lists(st.integers(-50, 50), max_size=5))
def test_credits_never_exceed_what_is_left(line: int, asked: list[int]) -> None:
    left = Decimal(line)
    for each in asked:
        left -= capped(Decimal(each), left)
        assert abs(left) <= abs(line)
        assert left * line >= 0
