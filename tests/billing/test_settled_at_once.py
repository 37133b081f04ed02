"""Balances, payments and write-offs with real parallel connections: nothing is settled or spent twice."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from billing.invoicing.models import Invoice, Outbox
from billing.invoicing.services import issue
from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.balance.queries import balance_for
from billing.payments.balance.services import apply_balance, refund
from billing.payments.errors import PaymentsError
from billing.payments.queries import open_amount
from billing.payments.writeoffs.models import WriteOff
from billing.payments.writeoffs.services import approve_write_off, decline_write_off, request_write_off
from tests.billing.invoicing.test_concurrency import at_once
from tests.billing.issued import NOW, Line, make_invoice, make_issued
from tests.billing.test_balance import credit, entries, pay, settle

pytestmark = pytest.mark.django_db(transaction=True)
D = Decimal


def refusal(act: Any) -> str:
    """Do it; why it was refused, or nothing."""
    try:
        act()
    except PaymentsError as error:
        return str(error)
    return ""


def with_balance_of_50() -> Invoice:
    """A paid invoice of a customer who paid 50.00 too much."""
    paid = make_issued("100.00")
    pay(paid, "150.00", keep_over=True)
    return paid


def following(invoice: Invoice, amount: str, state: str = "approved") -> Invoice:
    assert invoice.contract is not None
    return make_invoice(invoice.contract, [Line("Tokens", amount)], state=state)


def settled_once() -> None:
    """Every entry follows the one before, no balance is below zero, nothing is settled beyond its total."""
    total = D(0)
    for _, amount, balance in entries():
        total += amount
        assert balance == total >= 0
    for invoice in Invoice.objects.filter(kind="invoice", state="issued"):
        assert 0 <= open_amount(invoice) <= invoice.total


def test_two_issues_at_once_use_a_balance_once() -> None:
    paid = with_balance_of_50()
    both = [following(paid, "40.00").pk, following(paid, "40.00").pk]
    results = at_once(*[lambda pk=pk: issue(invoice_ids=[pk], user=None, now=NOW) for pk in both * 2])
    assert sum(len(each.done) for each in results) == 2
    assert sorted(amount for _, amount, _ in entries()) == [D(-40), D(-10), D(50)]
    assert sorted(open_amount(each) for each in Invoice.objects.filter(pk__in=both)) == [D(0), D(30)]
    settled_once()


def test_a_balance_that_is_paid_back_while_an_invoice_uses_it_goes_one_way() -> None:
    waits = following(with_balance_of_50(), "40.00", state="issued")
    account = BalanceAccount.objects.get()
    used, paid_back, again = at_once(
        lambda: refusal(lambda: apply_balance(invoice_id=waits.pk, user=None, now=NOW)),
        lambda: refusal(lambda: refund(account_id=account.pk, amount=D(50), reason="wire", user=None, now=NOW)),
        lambda: refusal(lambda: apply_balance(invoice_id=waits.pk, user=None, now=NOW)),
    )
    if paid_back:
        assert "enter USD 10.00 at most" in paid_back
        assert sorted([bool(used), bool(again)]) == [False, True]
        assert open_amount(waits) == 0
    else:
        assert "There is no balance to use" in used
        assert "There is no balance to use" in again
        assert open_amount(waits) == 40
    settled_once()


def test_a_payment_and_a_credit_note_at_once_settle_the_same_whichever_is_first() -> None:
    invoice = make_issued("100.00")
    note = credit(invoice, "50.00")
    at_once(lambda: pay(invoice, "80.00", keep_over=True), lambda: settle(note), lambda: settle(note))
    assert open_amount(invoice) == 0
    assert balance_for(invoice) == 30
    assert BalanceEntry.objects.filter(kind="credit_note").count() == 1
    settled_once()


def test_money_and_the_approval_of_a_write_off_at_once_do_not_settle_an_invoice_twice() -> None:
    invoice = make_issued("100.00")
    asks, approves = User.objects.create(username="asks"), User.objects.create(username="approves")
    found = request_write_off(
        invoice_id=invoice.pk, amount=D(100), reason="insolvent", four_eyes=True, user=asks, now=NOW
    )
    paid, written_off = at_once(
        lambda: refusal(lambda: pay(invoice, "100.00")),
        lambda: refusal(lambda: approve_write_off(write_off_id=found.pk, user=approves, now=NOW)),
    )
    assert bool(paid) != bool(written_off)
    assert open_amount(invoice) == 0
    found.refresh_from_db()
    assert (found.state == WriteOff.State.BOOKED) == (not written_off)


def test_two_people_who_decide_on_one_write_off_at_once_decide_once() -> None:
    invoice = make_issued("100.00")
    people = [User.objects.create(username=name) for name in ("asks", "one", "two")]
    found = request_write_off(
        invoice_id=invoice.pk, amount=D(60), reason="insolvent", four_eyes=True, user=people[0], now=NOW
    )
    answers = at_once(
        *[
            lambda user=user: refusal(lambda: approve_write_off(write_off_id=found.pk, user=user, now=NOW))
            for user in people[1:]
        ],
        lambda: refusal(lambda: decline_write_off(write_off_id=found.pk, user=people[0], now=NOW)),
    )
    assert sorted(map(bool, answers)) == [False, True, True]
    found.refresh_from_db()
    booked = found.state == WriteOff.State.BOOKED
    assert Outbox.objects.filter(kind=Outbox.Kind.WRITE_OFF_BOOKED).count() == booked
    assert open_amount(invoice) == (40 if booked else 100)
