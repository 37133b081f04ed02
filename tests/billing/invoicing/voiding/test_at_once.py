"""Voids with real parallel connections: what happens at once is one after the other, and nothing is done twice."""

from decimal import Decimal
from typing import Any

import pytest

from billing.invoicing.concessions.errors import BadCredit
from billing.invoicing.concessions.services import credit
from billing.invoicing.errors import InvoicingError
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue
from billing.invoicing.voiding.errors import BadVoid
from billing.invoicing.voiding.services import void
from billing.payments.queries import open_amount
from tests.billing.invoicing.concessions.test_credits import draft, equal, issued, tokens
from tests.billing.invoicing.test_concurrency import at_once
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)
WHO: dict[str, Any] = {"reason": "The wrong address", "user": None, "now": NOW}


def test_a_void_pressed_in_two_tabs_at_once_is_one() -> None:
    invoice = issued()

    def press() -> str:
        try:
            void(invoice_id=invoice.pk, **WHO)
        except BadVoid as error:
            return str(error)
        return ""

    answers = sorted(at_once(press, press))
    assert answers[0] == ""
    assert "is void already, by CN-" in answers[1]
    assert Invoice.objects.exclude(reverses=None).count() == 1


def test_a_credit_and_a_void_at_once_never_give_back_more_than_was_billed() -> None:
    invoice = issued()
    line = tokens(invoice)

    def give() -> bool:
        try:
            credit(invoice_id=invoice.pk, amounts={line.pk: Decimal("6.00")}, **WHO)
        except BadCredit:
            return False
        return True

    at_once(give, lambda: void(invoice_id=invoice.pk, **WHO))
    assert open_amount(invoice) == 0
    assert draft().net == invoice.net  # whichever came first, the invoice is void and its lines are wanted again
    equal()


def test_a_credit_that_arrives_while_its_invoice_is_issued_credits_it_or_is_told_to_wait() -> None:
    invoice = issued()
    void(invoice_id=invoice.pk, **WHO)
    again = draft()
    assert not approve(invoice_ids=[again.pk], user=None, now=NOW).skipped

    def give() -> str:
        try:
            credit(invoice_id=again.pk, amounts=None, **WHO)
        except InvoicingError as error:
            return str(error)
        return ""

    said, done = at_once(give, lambda: issue(invoice_ids=[again.pk], user=None, now=NOW).done)
    again.refresh_from_db()
    assert (again.state, len(done)) == ("issued", 1)
    notes = Invoice.objects.filter(kind="credit_note", state="draft")
    assert [each.net for each in notes] == ([] if said else [-again.net])
    assert "Only an issued invoice" in said or not said
    equal()
