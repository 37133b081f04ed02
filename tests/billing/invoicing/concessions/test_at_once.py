"""Credits with real parallel connections: what two people credit at once is credited once."""

from decimal import Decimal

import pytest

from billing.invoicing.concessions.errors import BadCredit, TooMuch
from billing.invoicing.concessions.models import Adjustment
from billing.invoicing.concessions.services import credit, take_back
from billing.invoicing.models import Invoice
from billing.invoicing.services import approve, issue
from tests.billing.invoicing.concessions.test_credits import WHO, issued, tokens
from tests.billing.invoicing.test_concurrency import at_once
from tests.factories import NOW

pytestmark = pytest.mark.django_db(transaction=True)


def test_two_people_who_credit_the_same_line_at_once_do_not_credit_it_twice() -> None:
    invoice = issued()
    line = tokens(invoice)

    def try_it() -> str:
        try:
            credit(invoice_id=invoice.pk, amounts={line.pk: Decimal("6.00")}, **WHO)
        except TooMuch as error:
            return str(error)
        return ""

    answers = sorted(at_once(try_it, try_it))
    assert answers[0] == ""
    assert "stands for USD 4.00" in answers[1]
    assert Adjustment.objects.count() == 1
    assert Invoice.objects.get(state="draft").net == Decimal("-6.00")


def test_a_credit_that_is_taken_back_while_its_note_is_issued_is_one_or_the_other() -> None:
    credited = issued()
    credit(invoice_id=credited.pk, amounts={tokens(credited).pk: Decimal("6.00")}, **WHO)
    note = Invoice.objects.get(state="draft")

    def back() -> bool:
        try:
            take_back(invoice_id=note.pk, reason="Wrong", user=None, now=NOW)
        except (BadCredit, Invoice.DoesNotExist):
            return False
        return True

    def send() -> bool:
        try:
            approve(invoice_ids=[note.pk], user=None, now=NOW)
            return bool(issue(invoice_ids=[note.pk], user=None, now=NOW).done)
        except Invoice.DoesNotExist:  # it went meanwhile
            return False

    taken, sent = at_once(back, send)
    assert taken != sent
    assert Adjustment.objects.filter(superseded_at=None).exists() == sent
    assert Invoice.objects.filter(kind="credit_note", state="issued").exists() == sent
