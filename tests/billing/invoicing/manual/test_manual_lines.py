"""Lines and discounts added to drafts by hand: facts that every run finds again, billed once."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from billing.invoicing.document_context import printed_invoice
from billing.invoicing.errors import InvoicingError
from billing.invoicing.manual import services
from billing.invoicing.manual.models import InvoiceNote, ManualLine
from billing.invoicing.manual.queries import notes_on
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue, run_billing, send_back
from billing.verification.services import verify
from customers.models import Contract
from revenue.ledger.services import post_documents
from revenue.ledger.ties import ties
from tests.billing.invoicing.agreed import apply, make_coupon
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

pytestmark = pytest.mark.django_db
DECEMBER = date(2023, 12, 1)
WHO: dict[str, Any] = {"reason": "Ticket 12", "user": None, "now": NOW}


def drafted(**contract: Any) -> tuple[Contract, Invoice]:
    """Platform at USD 100.00 a month in advance, and 1,000 tokens at USD 0.01, billed up to December."""
    made = make_contract(**contract)
    make_subscription(made, make_version(fee(), usage()))
    send_events(subject=made.customer.external_id, time="2023-11-10T00:00:00Z", data={"tokens": 1000})
    (invoice,) = bill("2023-12-01")
    return made, invoice


def add(contract: Contract, amount: str | None = "50.00", text: str = "Set-up", **values: Any) -> ManualLine:
    given = {"first": DECEMBER, "last": DECEMBER, "due_on": DECEMBER} | WHO | values
    return services.add_line(contract=contract, text=text, amount=Decimal(amount) if amount else None, **given)


def off(contract: Contract, **values: Any) -> ManualLine:
    return services.add_discount(contract=contract, **({"text": "Goodwill", "due_on": DECEMBER} | WHO | values))


def printed(invoice: Invoice) -> list[tuple[str, str]]:
    return [(name, f"{amount:.2f}") for name, amount in amounts(invoice)]


def run(day: date = DECEMBER) -> None:
    run_billing(as_of=day, now=NOW, full=True)


def finish(invoice: Invoice) -> Invoice:
    """Approve and issue it; it is equal to its facts."""
    for act in (approve, issue):
        result = act(invoice_ids=[invoice.pk], user=None, now=NOW)
        assert not result.skipped, result.skipped
    assert [(each.result, each.reasons) for each in verify(invoice_ids=[invoice.pk])] == [("equal", [])]
    return Invoice.objects.get(pk=invoice.pk)


def test_a_line_stands_on_the_draft_at_once_and_a_run_keeps_it() -> None:
    contract, invoice = drafted()
    before = printed(invoice)
    add(contract, None, "Training", quantity=Decimal("2.5"), unit="hour", unit_price=Decimal("80.10"))
    assert printed(invoice) == [*before, ("Training", "200.25")]
    send_events(subject=contract.customer.external_id, time="2023-11-11T00:00:00Z", data={"tokens": 500})
    run()
    assert printed(invoice)[-1] == ("Training", "200.25")
    issued = finish(invoice)
    run(date(2023, 12, 15))
    assert not Invoice.objects.filter(state="draft").exists()
    assert issued.net == sum(line.amount for line in issued.lines.all())


def test_a_line_waits_for_the_day_that_it_is_due_on() -> None:
    contract, invoice = drafted()
    add(contract, due_on=date(2023, 12, 20))
    assert "Set-up" not in dict(printed(invoice))
    finish(invoice)
    run_billing(as_of=date(2023, 12, 20), now=NOW)
    (later,) = Invoice.objects.filter(state="draft")
    assert printed(later) == [("Set-up", "50.00")]


def test_a_line_said_anew_replaces_the_other_and_is_billed_the_difference_once_that_is_billed() -> None:
    contract, invoice = drafted()
    line = services.say_anew(line=add(contract), amount=Decimal("60.00"), **WHO)
    assert printed(invoice)[-1] == ("Set-up", "60.00")
    finish(invoice)
    services.say_anew(line=line, amount=Decimal("75.00"), **WHO)
    run(date(2023, 12, 15))
    (later,) = Invoice.objects.filter(state="draft")
    assert printed(later) == [("Set-up", "15.00")]
    assert later.lines.get().corrects == invoice.lines.get(description="Set-up")
    finish(later)


def test_a_line_taken_back_leaves_the_draft_and_once_billed_it_is_credited() -> None:
    contract, invoice = drafted()
    before = printed(invoice)
    services.take_back(line=add(contract), **WHO)
    assert printed(invoice) == before
    line = add(contract, "70.00")
    finish(invoice)
    services.take_back(line=line, **WHO)
    run(date(2023, 12, 15))
    (credit,) = Invoice.objects.filter(state="draft")
    assert printed(credit) == [("Set-up", "-70.00")]
    finish(credit)


def test_a_percentage_off_the_draft_is_spread_over_what_it_bills_and_follows_late_usage() -> None:
    contract, invoice = drafted()
    base = invoice.net
    off(contract, percentage=Decimal(10))
    invoice.refresh_from_db()
    assert invoice.net == base * Decimal("0.9")
    assert {name for name, _ in printed(invoice) if name.startswith("Goodwill")} == {
        "Goodwill: Platform", "Goodwill: Tokens",
    }  # fmt: skip
    send_events(subject=contract.customer.external_id, time="2023-11-11T00:00:00Z", data={"tokens": 1000})
    run()
    invoice.refresh_from_db()
    assert invoice.net == (base + 10) * Decimal("0.9")
    finish(invoice)
    run(date(2023, 12, 15))
    assert not Invoice.objects.filter(state="draft").exists()


def test_a_discount_of_a_line_takes_no_more_than_a_coupon_left_of_it() -> None:
    contract, _ = drafted()
    apply(make_coupon(percentage=Decimal(50)), contract)
    run()
    invoice = Invoice.objects.get(state="draft")
    tokens = invoice.lines.get(kind="usage")
    off(contract, amount=Decimal("1000"), of=tokens, text="Incident")
    of_tokens = [line.amount for line in invoice.lines.filter(stream=tokens.stream)]
    assert sum(of_tokens) == 0
    finish(invoice)


def test_two_discounts_take_no_more_than_there_is() -> None:
    contract, invoice = drafted()
    off(contract, amount=Decimal("100000"))
    off(contract, percentage=Decimal(100))
    invoice.refresh_from_db()
    assert invoice.net == 0


def test_a_discount_that_is_billed_is_taken_back_and_not_said_anew() -> None:
    contract, invoice = drafted()
    discount = off(contract, amount=Decimal("30.00"))
    finish(invoice)
    with pytest.raises(InvoicingError, match="take it back, and add another"):
        services.say_anew(line=discount, amount=Decimal("20.00"), **WHO)
    services.take_back(line=discount, **WHO)
    run(date(2023, 12, 15))
    (later,) = Invoice.objects.filter(state="draft")
    assert later.net == 30


def test_a_line_of_a_draft_that_was_sent_back_is_billed_once() -> None:
    contract, invoice = drafted()
    add(contract)
    off(contract, percentage=Decimal(10))
    before = printed(invoice)
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    send_back(invoice_id=invoice.pk, user=None, reason="Look again", now=NOW)
    run()
    assert printed(invoice) == before
    finish(invoice)


def test_the_books_earn_a_manual_line_over_its_service_and_tie() -> None:
    contract, invoice = drafted()
    add(contract, "31.00", first=DECEMBER, last=date(2023, 12, 31))
    off(contract, percentage=Decimal(10))
    finish(invoice)
    post_documents(now=NOW)
    assert all(not tie.difference for tie in ties().ties)


def test_a_draft_that_was_approved_meanwhile_takes_nothing_more() -> None:
    contract, invoice = drafted()
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    with pytest.raises(InvoicingError, match="approved by now"):
        add(contract, invoice_id=invoice.pk)
    with pytest.raises(InvoicingError, match="approved by now"):
        services.add_note(invoice=invoice, text="Thank you", printed=True, user=None, now=NOW)
    assert not ManualLine.objects.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"amount": "0.00"}, "comes to nothing"),
        ({"amount": "1.005"}, "2 decimal places"),
        ({"amount": None}, "either an amount, or a quantity"),
        ({"amount": "5.00", "quantity": Decimal(1), "unit_price": Decimal(1)}, "either an amount, or a quantity"),
        ({"amount": None, "quantity": Decimal(1)}, "either an amount, or a quantity"),
        ({"amount": "1000000000000"}, "stays below"),
        ({"text": "  "}, "1 to 150 characters"),
        ({"text": "सेटअप"}, "cannot show"),
        ({"last": date(2023, 11, 30)}, "ends before it begins"),
        ({"reason": " "}, "Say why"),
    ],
)
def test_what_makes_no_line_is_refused_with_the_way_out(values: dict[str, Any], sentence: str) -> None:
    contract = make_contract()
    with pytest.raises(ValueError, match=sentence):
        add(contract, **values)
    assert not ManualLine.objects.exists()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "either an amount or a percentage"),
        ({"percentage": Decimal(101)}, "at most 100"),
        ({"amount": Decimal(-5)}, "above 0"),
    ],
)
def test_what_makes_no_discount_is_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvoicingError, match=sentence):
        off(make_contract(), **values)


def test_what_was_said_by_hand_is_never_edited_or_deleted() -> None:
    contract, _ = drafted()
    line = add(contract)
    for change in ("UPDATE billing_manualline SET amount = 1", "DELETE FROM billing_manualline"):
        with pytest.raises(DatabaseError, match="Cannot"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
    line.refresh_from_db()
    assert line.amount == 50


def test_notes_survive_recomputation_and_a_way_back_and_are_printed_where_they_are_to_be() -> None:
    contract, invoice = drafted()
    services.add_note(invoice=invoice, text="Thank you.\nSee you.", printed=True, user=None, now=NOW)
    services.add_note(invoice=invoice, text="Ask Kim before sending", printed=False, user=None, now=NOW)
    add(contract)
    approve(invoice_ids=[invoice.pk], user=None, now=NOW)
    send_back(invoice_id=invoice.pk, user=None, reason="Look again", now=NOW)
    run()
    finished = finish(Invoice.objects.get(state="draft"))
    assert [note.printed for note in notes_on(finished)] == [True, False]
    assert printed_invoice(finished).notes == [["Thank you.", "See you."]]


def test_a_printed_note_of_an_issued_invoice_is_frozen_and_one_for_colleagues_is_not() -> None:
    _, invoice = drafted()
    note = services.add_note(invoice=invoice, text="Thank you", printed=True, user=None, now=NOW)
    finish(invoice)
    with pytest.raises(InvoicingError, match="issued by now"):
        services.take_back_note(note=note, invoice=invoice, reason="Wrong", user=None, now=NOW)
    with pytest.raises(DatabaseError, match="frozen"), transaction.atomic():
        InvoiceNote.objects.filter(pk=note.pk).update(taken_back_at=NOW, taken_back_reason="Wrong")
    inner = services.add_note(invoice=invoice, text="They called", printed=False, user=None, now=NOW)
    services.take_back_note(note=inner, invoice=invoice, reason="Wrong customer", user=None, now=NOW)
    assert [each.text for each in notes_on(invoice)] == ["Thank you"]
