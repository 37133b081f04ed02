"""Pages of balances and write-offs: what they show, what their buttons do, and who may press them."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from billing.payments.balance.models import BalanceAccount, BalanceEntry
from billing.payments.services import record_payment
from billing.payments.writeoffs.models import WriteOff
from tests.billing.issued import NOW, Line, make_invoice, make_issued

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss(client: Any) -> Any:
    """Signed in as somebody who may do everything."""
    client.force_login(User.objects.create_superuser("boss"))
    return client


def press(client: Any, name: str, pk: int, **given: str) -> Any:
    """Submit the dialog of a button."""
    return client.post(reverse(f"admin:{name}", args=[pk]), {"_form_submitted": "True", **given})


def test_it_works(boss: Any) -> None:
    """A statement with the running balance; a refund takes from it."""
    invoice = make_issued("100.00")
    record_payment(
        invoice_id=invoice.pk, amount=Decimal(115), received_on=NOW.date(), reference="", user=None, now=NOW,
        keep_over=True,
    )  # fmt: skip
    account = BalanceAccount.objects.get()
    page = boss.get(reverse("admin:billing_balanceaccount_change", args=[account.pk])).content.decode()
    assert "USD 15.00" in page
    assert "Record refund" in page
    press(boss, "billing_balanceaccount_refund", account.pk, amount="5.00", reason="wire")
    assert BalanceEntry.objects.get(kind="refund").balance == Decimal(10)
    following = make_invoice(invoice.contract, [Line("Tokens", "60.00")])
    shown = boss.get(reverse("admin:billing_invoice_change", args=[following.pk])).content.decode()
    assert "Use balance" in shown
    press(boss, "billing_invoice_apply_balance", following.pk)
    shown = boss.get(reverse("admin:billing_invoice_change", args=[following.pk])).content.decode()
    assert "From the customer’s balance" in shown
    assert "USD 50.00" in shown


def test_a_write_off_is_asked_for_here_and_approved_by_another_there(boss: Any) -> None:
    invoice = make_issued("100.00")
    press(boss, "billing_invoice_write_off", invoice.pk, amount="100.00", reason="insolvent")
    found = WriteOff.objects.get()
    press(boss, "billing_writeoff_approve", found.pk)
    found.refresh_from_db()
    assert found.state == "requested"  # boss asked for it
    boss.force_login(User.objects.create_superuser("second"))
    press(boss, "billing_writeoff_approve", found.pk)
    found.refresh_from_db()
    assert found.state == "booked"
    page = boss.get(reverse("admin:billing_invoice_change", args=[invoice.pk])).content.decode()
    assert "Written off: insolvent" in page
    assert "Reverse" in boss.get(reverse("admin:billing_writeoff_change", args=[found.pk])).content.decode()


def test_the_page_of_a_customer_names_its_balances_for_those_who_may_see_them(sign_in: Any, boss: Any) -> None:
    invoice = make_issued("100.00")
    url = reverse("admin:customers_customer_change", args=[invoice.customer_id])
    assert "Balances" not in boss.get(url).content.decode()
    record_payment(
        invoice_id=invoice.pk, amount=Decimal(115), received_on=NOW.date(), reference="", user=None, now=NOW,
        keep_over=True,
    )  # fmt: skip
    statement = reverse("admin:billing_balanceaccount_change", args=[BalanceAccount.objects.get().pk])
    for client, sees in ((boss, True), (sign_in("Auditor"), True), (sign_in("RevOps"), False)):
        page = client.get(url).content.decode()
        assert (statement in page, "USD 15.00" in page) == (sees, sees)
