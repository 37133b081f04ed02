"""Voiding an issued invoice from its page, and billing it after all."""

from typing import Any

import pytest

from billing.invoicing.models import Invoice
from tests.admin.test_invoices import buttons, press, said

pytestmark = pytest.mark.django_db


def page(client: Any, invoice: Invoice) -> str:
    text: str = client.get(f"/admin/billing/invoice/{invoice.pk}/change/").content.decode()
    return text


def test_an_invoice_is_voided_and_waived_and_billed_after_all(sign_in: Any, business: Any) -> None:
    finance, invoice = sign_in("Finance"), business.issued[0]
    assert "Void" in buttons(finance, invoice)
    press(finance, "void", invoice, reason="The wrong company", waive="on", way="balance")
    reversal = Invoice.objects.get(reverses=invoice)
    invoice.refresh_from_db()
    assert buttons(finance, invoice) == ["Bill after all", "PDF", "Usage as CSV"]
    assert "Its lines are not billed again." in page(finance, invoice)
    assert "Voided by" in page(finance, invoice)
    assert str(reversal.number) in page(finance, invoice)
    assert "The wrong company" in page(finance, reversal)
    assert "Void" not in buttons(finance, reversal)
    press(finance, "bill_after_all", invoice, reason="They pay after all")
    assert buttons(finance, invoice) == ["PDF", "Usage as CSV"]
    assert "Its lines are billed again." in page(finance, invoice)
    assert Invoice.objects.filter(state="draft", lines__stream__contract=invoice.contract).exists()


def test_the_same_void_in_a_second_tab_is_told_so_and_an_auditor_may_not(sign_in: Any, business: Any) -> None:
    finance, invoice = sign_in("Finance"), business.issued[0]
    assert press(sign_in("Auditor"), "void", invoice, reason="No", way="balance").status_code == 403
    press(finance, "void", invoice, reason="The wrong company", way="refund")
    again = press(finance, "void", invoice, reason="The wrong company", way="refund")
    assert "is void already" in said(again)
    assert Invoice.objects.filter(reverses=invoice).count() == 1
