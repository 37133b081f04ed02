"""Voiding: an issued invoice is reversed to nothing, and its lines are wanted again unless they are waived."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from billing.invoicing.concessions.models import Adjustment, Way
from billing.invoicing.concessions.services import credit
from billing.invoicing.document_context import printed_invoice
from billing.invoicing.documents import document_of, read_document
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Coverage, Invoice, InvoiceLine
from billing.invoicing.services import approve, run_billing
from billing.invoicing.voiding.errors import BadVoid, BuiltUpon
from billing.invoicing.voiding.models import Waiver
from billing.invoicing.voiding.services import bill_after_all, void
from billing.payments.balance.models import BalanceEntry
from billing.payments.queries import open_amount
from billing.payments.services import record_payment
from billing.payments.writeoffs.services import request_write_off
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.concessions.test_credits import draft, equal, finish, issued, tokens
from tests.billing.invoicing.test_taxes import rate, taxed
from tests.factories import (
    NOW,
    bill,
    fee,
    make_contract,
    make_customer,
    make_subscription,
    make_version,
    send_events,
    usage,
)

pytestmark = pytest.mark.django_db
WHO: dict[str, Any] = {"reason": "The wrong address", "user": None, "now": NOW}


def again(full: bool = True) -> None:
    """Billing runs once more as of the same day."""
    run_billing(as_of=date(2023, 12, 1), now=NOW, full=full)


def parts(invoice: Invoice) -> list[tuple[str, str, Decimal]]:
    """What its lines are of, and come to."""
    return sorted(invoice.lines.values_list("kind", "service_start", "amount"))


def settled() -> None:
    """The books hold what was billed, and everything recorded is what its facts come to."""
    post_documents(now=NOW)
    assert ties().hold
    equal()


def late(invoice: Invoice, count: int) -> None:
    send_events(subject=invoice.customer.external_id, time="2023-11-11T00:00:00Z", data={"tokens": count})


def test_a_voided_invoice_is_reversed_to_nothing_and_its_lines_stand_on_the_next_draft() -> None:
    invoice = issued()
    reversal = void(invoice_id=invoice.pk, **WHO)
    invoice.refresh_from_db()
    assert (invoice.state, reversal.reverses_id, reversal.total) == ("void", invoice.pk, -invoice.total)
    reversal.refresh_from_db()
    assert (reversal.state, reversal.kind) == ("issued", "credit_note")
    assert str(reversal.number).startswith(invoice.entity.credit_prefix)
    assert open_amount(invoice) == 0
    assert parts(draft()) == parts(invoice)
    assert not draft().lines.exclude(corrects=None).exists()
    settled()
    finish(draft())
    again()
    assert not Invoice.objects.filter(state="draft").exists()
    settled()


def test_a_reissue_bills_what_the_facts_say_by_then() -> None:
    invoice = issued()
    void(invoice_id=invoice.pk, **WHO)
    late(invoice, 500)
    again(full=False)
    assert draft().net == invoice.net + Decimal("5.00")
    finish(draft())
    settled()


def test_what_is_waived_is_not_billed_again_but_what_comes_on_top_is() -> None:
    invoice = issued()
    void(invoice_id=invoice.pk, bill_again=False, **WHO)
    again()
    assert not Invoice.objects.filter(state="draft").exists()
    settled()
    late(invoice, 300)
    again()
    (line,) = draft().lines.all()
    assert (line.amount, line.billed_before, line.corrects) == (Decimal("3.00"), Decimal(0), None)
    finish(draft())
    late(invoice, -1200)
    again()
    assert draft().net == Decimal("-3.00")  # what was waived is not given back as well
    finish(draft())
    again()
    assert not Invoice.objects.filter(state="draft").exists()
    settled()


def test_a_waiver_that_is_taken_back_bills_the_lines() -> None:
    invoice = issued()
    void(invoice_id=invoice.pk, bill_again=False, **WHO)
    bill_after_all(invoice_id=invoice.pk, reason="They agreed to pay", user=None, now=NOW)
    assert parts(draft()) == parts(invoice)
    with pytest.raises(BadVoid, match=r"Nothing of .* is waived"):
        bill_after_all(invoice_id=invoice.pk, reason="Twice", user=None, now=NOW)
    finish(draft())
    settled()


def test_a_later_invoice_that_builds_on_it_is_named_and_voided_first() -> None:
    first = issued()
    late(first, 200)
    again()
    second = finish(draft())
    with pytest.raises(BuiltUpon, match=f"{second.number} builds on its lines"):
        void(invoice_id=first.pk, **WHO)
    void(invoice_id=second.pk, **WHO)
    settled()
    assert draft().net == second.net
    assert draft().lines.get().corrects_id == tokens(first).pk
    void(invoice_id=first.pk, **WHO)
    assert draft().net == first.net + second.net
    finish(draft())
    settled()


def test_an_approved_correction_refuses_the_void_until_it_is_sent_back() -> None:
    first = issued()
    late(first, 200)
    again()
    approve(invoice_ids=[draft().pk], user=None, now=NOW)
    with pytest.raises(BuiltUpon, match="approved"):
        void(invoice_id=first.pk, **WHO)


def test_credits_of_its_lines_are_undone_with_it_so_that_no_note_exceeds_what_is_left() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal("4.00")}, **WHO)
    finish(draft())
    reversal = void(invoice_id=invoice.pk, **WHO)
    assert reversal.net == Decimal("4.00") - invoice.net
    assert not Adjustment.objects.filter(superseded_at=None).exists()
    assert draft().net == invoice.net
    assert open_amount(invoice) == 0
    finish(draft())
    settled()


def test_a_credit_on_a_draft_goes_with_the_invoice_that_it_credits() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal("4.00")}, **WHO)
    void(invoice_id=invoice.pk, **WHO)
    assert draft().net == invoice.net
    settled()


@pytest.mark.parametrize(("way", "left"), [(Way.BALANCE, "210.00"), (Way.REFUND, "0"), (Way.OUTSIDE, "0")])
def test_what_was_paid_becomes_balance_or_goes_the_way_that_is_said(way: str, left: str) -> None:
    invoice = issued()
    record_payment(
        invoice_id=invoice.pk, amount=invoice.total, received_on=date(2023, 12, 1), reference="", user=None, now=NOW
    )
    void(invoice_id=invoice.pk, way=way, **WHO)
    assert BalanceEntry.objects.order_by("-number")[0].balance == Decimal(left)
    settled()


@pytest.mark.parametrize("state", ["draft", "approved", "void", "credit_note"])
def test_only_an_issued_invoice_is_voided(state: str) -> None:
    invoice = issued()
    if state == "credit_note":
        credit(invoice_id=invoice.pk, amounts=None, **WHO)
        invoice = finish(draft())
    else:
        void(invoice_id=invoice.pk, **WHO)
        if state != "void":
            invoice = draft()
        if state == "approved":
            approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    with pytest.raises(BadVoid):
        void(invoice_id=invoice.pk, **WHO)


def test_a_void_needs_a_reason_and_no_write_off() -> None:
    invoice = issued()
    with pytest.raises(BadVoid, match="Say why"):
        void(invoice_id=invoice.pk, reason=" ", user=None, now=NOW)
    request_write_off(
        invoice_id=invoice.pk, amount=Decimal("10.00"), reason="Bankrupt", four_eyes=False, user=None, now=NOW
    )
    with pytest.raises(BadVoid, match="decline that first"):
        void(invoice_id=invoice.pk, **WHO)
    assert not Waiver.objects.exists()


def test_the_database_refuses_to_void_without_a_reversal_and_to_change_what_is_issued_or_void() -> None:
    invoice = issued()
    rows = Invoice.objects.filter(pk=invoice.pk)
    for change in ({"state": "void"}, {"state": "draft"}, {"total": 1}, {"number": "X"}, {"reversal_reason": "x"}):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(DatabaseError), transaction.atomic():
        InvoiceLine.objects.filter(invoice=invoice).update(amount=1)
    void(invoice_id=invoice.pk, **WHO)
    for change in ({"state": "issued"}, {"total": 1}):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(**change)
    assert not Coverage.objects.filter(line__invoice=invoice, credited_by=None).exists()


def test_nothing_is_left_of_a_void_whose_reversal_cannot_be_issued() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts={tokens(invoice).pk: Decimal("1.00")}, **WHO)
    finish(draft())
    with pytest.raises(InvoicingError, match="cannot follow it"):
        void(invoice_id=invoice.pk, reason="Too early", user=None, now=NOW - timedelta(days=2))
    invoice.refresh_from_db()
    assert invoice.state == "issued"
    assert not Invoice.objects.exclude(reverses=None).exists()


def test_a_reversal_prints_what_it_cancels_and_why_in_the_language_of_the_customer() -> None:
    invoice = issued()
    reversal = void(invoice_id=invoice.pk, **WHO)
    reversal.refresh_from_db()
    why = printed_invoice(reversal).why
    assert why[0].startswith(f"This document cancels invoice {invoice.number} of ")
    assert why[1] == "Reason: The wrong address"
    reversal.buyer["locale"] = "de-DE"
    assert printed_invoice(reversal).why[0].startswith("Dieses Dokument storniert die Rechnung")
    for each in (invoice, reversal):
        each.refresh_from_db()
        assert read_document(document_of(invoice=each, now=NOW)).startswith(b"%PDF")


def test_a_credit_note_prints_the_reason_of_each_credit_once_and_the_quantity_that_was_credited() -> None:
    invoice = issued()
    credit(invoice_id=invoice.pk, amounts=None, quantities={tokens(invoice).pk: Decimal(333)}, **WHO)
    note = draft()
    assert printed_invoice(note).why == ["Reason: The wrong address"]
    line = note.lines.get()
    assert (line.quantity, line.unit, line.amount) == (Decimal(333), tokens(invoice).unit, Decimal("-3.33"))


@pytest.mark.parametrize("verb", ["void", "credit"])
def test_a_reason_that_no_document_can_show_is_refused(verb: str) -> None:
    invoice = issued()
    asked: dict[str, Any] = {"invoice_id": invoice.pk, "reason": "خطأ", "user": None, "now": NOW}
    with pytest.raises(InvoicingError, match="cannot show"):
        void(**asked) if verb == "void" else credit(amounts=None, **asked)
    assert Invoice.objects.count() == 1


def test_taxes_of_a_voided_invoice_are_given_back_to_the_cent_and_told_anew_on_its_reissue() -> None:
    taxed()
    rate("19")
    made = make_contract(make_customer(country="DE"))
    make_subscription(made, make_version(fee(amount="33.33"), usage()))
    send_events(subject=made.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": 77})
    invoice = finish(bill("2023-12-01")[0])
    assert invoice.tax == Decimal("12.81")
    reversal = void(invoice_id=invoice.pk, **WHO)
    assert (reversal.net, reversal.tax) == (-invoice.net, -invoice.tax)
    rows = [list(each.taxes.values_list("code", "net", "tax")) for each in (invoice, reversal)]
    assert rows[1] == [(code, -net, -tax) for code, net, tax in rows[0]]
    rate("25", start=date(2023, 1, 2))
    again()
    assert draft().tax == Decimal("16.86")
    finish(draft())
    settled()
