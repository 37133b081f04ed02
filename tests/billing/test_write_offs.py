"""Write-offs: one asks, another approves; the books bear the loss; billing's records stay as they were."""

from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from billing.invoicing.models import Invoice
from billing.payments.errors import PaymentsError
from billing.payments.queries import Standing, with_standing
from billing.payments.services import record_payment
from billing.payments.writeoffs.errors import AlreadyDecided, NothingOpen, NotIssued, NotYourOwn, WaitsAlready
from billing.payments.writeoffs.models import WriteOff
from billing.payments.writeoffs.services import (
    approve_write_off,
    decline_write_off,
    request_write_off,
    reverse_write_off,
)
from revenue.ledger.services import post_documents
from tests.billing.issued import NOW, Line, make_contract, make_invoice, make_issued
from tests.revenue.helpers import posted, sides

pytestmark = pytest.mark.django_db
D = Decimal


def ask(invoice: Invoice, amount: str, user: User | None = None, *, four_eyes: bool = True) -> WriteOff:
    return request_write_off(
        invoice_id=invoice.pk, amount=D(amount), reason="insolvent", four_eyes=four_eyes, user=user, now=NOW
    )


def standing(invoice: Invoice) -> tuple[str, Decimal]:
    found = with_standing(Invoice.objects.filter(pk=invoice.pk), NOW.date()).get()
    assert found.open is not None
    return str(found.standing), found.open


def people() -> tuple[User, User]:
    return User.objects.create(username="asks"), User.objects.create(username="approves")


def test_it_works() -> None:
    invoice = make_issued("100.00")
    asks, approves = people()
    found = ask(invoice, "100.00", asks)
    assert standing(invoice) == (Standing.OPEN, D("100"))

    approve_write_off(write_off_id=found.pk, user=approves, now=NOW)
    assert standing(invoice) == (Standing.UNCOLLECTIBLE, D(0))

    reverse_write_off(write_off_id=found.pk, reason="pays after all", user=asks, now=NOW)
    assert standing(invoice) == (Standing.OPEN, D("100"))
    post_documents(now=NOW)
    (entry,), (back,) = posted("write_off"), posted("write_off_reversed")
    assert sides(entry) == [("6100", D("100")), ("1100", D("-100"))]
    assert sides(back) == [("6100", D("-100")), ("1100", D("100"))]


def test_nobody_approves_what_he_asked_for_not_even_in_the_database() -> None:
    invoice = make_issued("100.00")
    asks, _ = people()
    found = ask(invoice, "40.00", asks)
    with pytest.raises(NotYourOwn, match="somebody else must approve it"):
        approve_write_off(write_off_id=found.pk, user=asks, now=NOW)
    with pytest.raises(IntegrityError), transaction.atomic():
        WriteOff.objects.filter(pk=found.pk).update(
            state="booked", decided_by=asks, decided_at=NOW, decided_on=NOW.date()
        )
    assert standing(invoice) == (Standing.OPEN, D("100"))


def test_one_person_is_enough_where_the_setting_says_so() -> None:
    invoice = make_issued("100.00")
    asks, _ = people()
    approve_write_off(write_off_id=ask(invoice, "40.00", asks, four_eyes=False).pk, user=asks, now=NOW)
    assert standing(invoice) == (Standing.PARTIALLY_PAID, D("60"))


def test_a_second_press_and_a_second_request_are_refused() -> None:
    invoice = make_issued("100.00")
    asks, approves = people()
    found = ask(invoice, "40.00", asks)
    with pytest.raises(WaitsAlready):
        ask(invoice, "40.00", asks)
    approve_write_off(write_off_id=found.pk, user=approves, now=NOW)
    with pytest.raises(AlreadyDecided, match="“written off” already"):
        approve_write_off(write_off_id=found.pk, user=approves, now=NOW)
    with pytest.raises(AlreadyDecided):
        decline_write_off(write_off_id=found.pk, user=approves, now=NOW)


def test_money_that_comes_before_the_approval_is_not_written_off() -> None:
    invoice = make_issued("100.00")
    asks, approves = people()
    found = ask(invoice, "100.00", asks)
    record_payment(invoice_id=invoice.pk, amount=D("10"), received_on=NOW.date(), reference="", user=None, now=NOW)
    with pytest.raises(NothingOpen, match=r"more than the USD 90\.00"):
        approve_write_off(write_off_id=found.pk, user=approves, now=NOW)
    decline_write_off(write_off_id=found.pk, user=asks, now=NOW)
    assert standing(invoice) == (Standing.PARTIALLY_PAID, D("90"))


@pytest.mark.parametrize("amount", ["100.01", "0", "-1", "0.001", "NaN"])
def test_only_what_is_open_is_written_off(amount: str) -> None:
    invoice = make_issued("100.00")
    with pytest.raises(PaymentsError):
        ask(invoice, amount)
    assert not WriteOff.objects.exists()


def test_a_draft_is_never_written_off() -> None:
    draft = make_invoice(make_contract("C-2"), [Line("Tokens", "5.00")], state="draft")
    with pytest.raises(NotIssued):
        ask(draft, "5.00")
